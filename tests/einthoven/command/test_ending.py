"""What a script prints at its end."""

from einthoven.command.ending import Outcome, describe_ending, fit_terminal

TABLE = "| method | first | second |\n|---|---:|---|\n| a | 1 | x |\n| long name | 22 | yy |\n"


def test_files_that_are_there_are_named_and_the_next_command(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.csv").touch()
    made = [tmp_path / "a.png", tmp_path / "b.csv", tmp_path / "c.csv"]
    outcome = Outcome("done", made, ["evaluate_noise", "runs=[a b,c]"])
    lines = [f"made: {tmp_path}/a.png", f"      {tmp_path}/b.csv", "next: einthoven evaluate_noise 'runs=[a b,c]'"]
    assert describe_ending(outcome) == lines
    assert describe_ending(Outcome("done")) == []
    assert describe_ending(Outcome("dry run", [tmp_path / "c.csv"], ["plot"])) == []
    assert describe_ending(Outcome("done", then=["plot"])) == ["next: einthoven plot"]


def test_a_wide_table_becomes_several():
    assert fit_terminal(TABLE) == TABLE
    text = "method     first\na          1\nlong name  22\n\nmethod     second\na          x\nlong name  yy"
    assert fit_terminal(TABLE, 20) == f"{text}\n"


def test_long_lines_are_wrapped_but_for_columns_and_commands():
    assert fit_terminal("- one two three\nfour five six", 10) == "- one two\n  three\nfour five\nsix"
    for line in ("einthoven inpaint data=demo", "I     0.123     0.456"):
        assert fit_terminal(line, 10) == line
