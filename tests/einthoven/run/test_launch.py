"""Scripts: they start in every way, and tell mistakes in one line."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from einthoven.command.command_line import check_config_path, spell_out
from einthoven.run.launch import CONFIGS, plain, run_path
from einthoven.run.run_folder import RunFolder
from tests.scripts import run_in_project

SCRIPT = """
import os
import sys
from pathlib import Path

from einthoven.run import launch

launch.CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@launch.script("measure")
def main(settings):
    if "signal" in settings:
        launch.run_path(settings).mkdir()
        (launch.run_path(settings) / "config.yaml").touch()
        os.kill(os.getpid(), settings["signal"])
    if settings["algo"]["n_samples"] < 1:
        raise ValueError("algo.n_samples must be\\nat least 1")
    if settings["algo"]["n_samples"] == 98:
        raise OSError(28, "No space left on device", "samples.npy")
    if settings["algo"]["n_samples"] > 99:
        raise RuntimeError("a fault of the program")
    return f"{settings['algo']['name']} {settings['algo']['n_samples']} {launch.run_path(settings)}"


if __name__ == "__main__":
    main()
"""

SCRIPT_OF_WORDS = SCRIPT.replace('("measure")', '("measure", words="parts")').replace(
    'return f"', "return f\"{' '.join(settings['parts'])} {sys.argv[1:]} ", 1
)

SCRIPT_OF_CHOICES = """
from pathlib import Path

from einthoven.run import launch
from einthoven.run.registry import Registry

launch.CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def added(first, steps=2, rate=0.5, part=object()):
    return first


ALGOS = Registry("algo", {"mgps": "verbs.choose.added", "added": "verbs.choose.added"})


@launch.script("measure", groups={"algo": ALGOS})
def main(config):
    return str(config["algo"] if "first" not in config else ALGOS.build(config["algo"], first=1))


if __name__ == "__main__":
    main()
"""

CONFIG_FILES = {
    "measure.yaml": (
        "defaults: [{settings: default}, {paths: default}, {algo: mgps}, _self_]\n"
        "dataset: {sampling_rate: 100, raw_path: x}\n"
        "parts: [all]\n"
    ),
    "algo/mgps.yaml": "{name: mgps, n_samples: 10, n_gradient_steps: 5}\n",
    "algo/amortised.yaml": "{name: amortised, n_samples: 10, churn: 0.5}\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    files = {f"configs/{name}": text for name, text in CONFIG_FILES.items()}
    for shared in ("settings/default.yaml", "paths/default.yaml"):
        files[f"configs/{shared}"] = (CONFIGS / shared).read_text()
    files |= {"verbs/measure.py": SCRIPT, "verbs/__init__.py": "", "verbs/tell.py": SCRIPT_OF_WORDS}
    files["verbs/choose.py"] = SCRIPT_OF_CHOICES
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def start(project, tmp_path):
    def run(*arguments, how=("-m", "verbs.measure"), **variables):
        return run_in_project(project, tmp_path / "runs", *how, *arguments, **variables)

    return run


@pytest.mark.parametrize("how", [("-m", "verbs.measure"), ("verbs/measure.py",)], ids=["module", "path"])
def test_runs_as_module_and_by_path(start, tmp_path, how):
    answer = start("algo.n_samples=4", how=how)
    assert answer.returncode == 0, answer.stderr
    name, n_samples, folder = answer.stdout.split()
    assert (name, n_samples) == ("mgps", "4")
    assert Path(folder).parent == tmp_path / "runs" / "measure"
    assert not Path(folder).exists()  # nothing was written there, and no empty folder is left


def test_multirun_gives_each_job_a_folder(start):
    answer = start("-m", "algo=mgps,amortised", "algo.n_samples=1,2")
    assert answer.returncode == 0, answer.stderr
    lines = [line.split() for line in answer.stdout.splitlines() if "/runs/measure/" in line]
    assert [line[:2] for line in lines] == [["mgps", "1"], ["mgps", "2"], ["amortised", "1"], ["amortised", "2"]]
    assert len({line[2] for line in lines}) == 4


def test_hydra_options_still_work(start):
    answer = start("--cfg", "job")
    assert answer.returncode == 0
    assert "n_gradient_steps: 5" in answer.stdout


def test_help_lists_the_keys(start):
    answer = start("--help")
    assert answer.returncode == 0
    assert "Keys, KEY=VALUE" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dataset.sampling_rat=500"], ["dataset.sampling_rat'", "did you mean dataset.sampling_rate"]),
        (["sampling_rate=500"], ["sampling_rate'", "did you mean dataset.sampling_rate"]),
        (["datset.sampling_rate=500"], ["datset", "did you mean dataset.sampling_rate"]),
        (["algo=amortised", "algo.chrun=1"], ["algo.chrun'", "did you mean algo.churn"]),
        (["algo=mgsp"], ["'mgsp' for algo", "choose one of amortised, mgps", "did you mean mgps"]),
        (["-m", "algo.n_sample=1,2"], ["algo.n_sample'", "did you mean algo.n_samples"]),
        (["algo.n_samples=1,2"], ["algo.n_samples=1,2", "--multirun"]),
        (["dataset.raw_path=???"], ["give a value for dataset.raw_path="]),
        (["dataset.raw_path=a b(c"], ["cannot read 'dataset.raw_path=a b(c'", "quote"]),
        (["paths.runs=${oc.env:NO_SUCH_VARIABLE_HERE}"], ["NO_SUCH_VARIABLE_HERE"]),
        (["algo.n_samples=0"], ["algo.n_samples must be at least 1"]),
        (["algo.n_samples=98"], ["samples.npy: No space left on device; what is done already is not done again"]),
        (["algo.n_samples=ten"], ["algo.n_samples=ten: give a whole number (default: 10)"]),
        (["paths.runs=/proc/x"], ["/proc/x"]),
    ],
)
def test_mistake_is_one_line_and_exit_status_2(start, arguments, expected):
    answer = start(*arguments)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert answer.stderr.startswith("measure: error: ")
    for part in expected:
        assert part in answer.stderr


@pytest.mark.parametrize("arguments", [["algo.n_samples=0"], ["algo.n_sample=1"]])
def test_full_error_shows_the_traceback(start, arguments):
    answer = start(*arguments, HYDRA_FULL_ERROR="1")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr


def test_fault_of_the_program_shows_its_traceback(start):
    answer = start("algo.n_samples=100")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr
    assert "RuntimeError: a fault of the program" in answer.stderr


def test_a_relative_results_path_lies_below_the_folder_of_runs(monkeypatch, tmp_path):
    config = {"measure": {"results_path": "first"}}
    monkeypatch.delenv("ECG_RUNS", raising=False)
    assert run_path(config) == Path("first")
    monkeypatch.setenv("ECG_RUNS", str(tmp_path))
    assert run_path(config) == tmp_path / "first"
    assert run_path({"measure": {"results_path": str(tmp_path / "first")}}) == tmp_path / "first"
    monkeypatch.setenv("ECG_RUNS", "out")
    assert run_path({"measure": {"results_path": "out/first"}}) == Path("out/first")


@pytest.mark.parametrize(("number", "status"), [(2, 130), (15, 143)])
def test_a_stopped_script_says_in_one_line_how_to_go_on(start, tmp_path, number, status):
    answer = start(f"+signal={number}", f"+measure.results_path={tmp_path}/run")
    assert answer.returncode == status
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert f"the same command with measure.results_path={tmp_path}/run goes on" in answer.stderr


TELL = ("-m", "verbs.tell")


def test_bare_words_make_up_a_list_that_the_command_line_notes(start):
    answer = start("left", "algo.n_samples=4", "right", how=TELL)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("left right ['parts=[left,right]', 'algo.n_samples=4'] mgps 4 ")
    assert start("parts=[right]", how=TELL).stdout.startswith("right ['parts=[right]'] ")
    assert start(how=TELL).stdout.startswith("all [] ")


def test_bare_words_go_with_a_sweep(start):
    answer = start("-m", "left", "algo.n_samples=1,2", how=TELL)
    assert answer.returncode == 0, answer.stderr
    lines = [line for line in answer.stdout.splitlines() if line.startswith("left ")]
    assert [f"algo.n_samples={n}" in line and "parts=[left]" in line for n, line in enumerate(lines, 1)] == [True, True]


@pytest.mark.parametrize(
    ("how", "arguments", "expected"),
    [
        (("-m", "verbs.measure"), ["left"], "cannot read 'left': write key=value"),
        (TELL, ["left", "parts=[right]"], "give parts=... or the bare words left, not both"),
        (TELL, ["left", "algo.n_sample=1"], "did you mean algo.n_samples"),
    ],
)
def test_words_that_do_not_fit_are_a_mistake(start, how, arguments, expected):
    answer = start(*arguments, how=how)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1 and expected in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a", "b-c"], ["parts=[a,b-c]"]),
        (["seed=1", "a", "--multirun", "b"], ["seed=1", "parts=[a,b]", "--multirun"]),
        (["--cfg", "job", "a"], ["--cfg", "job", "parts=[a]"]),
        (["--config-name", "other", "-p", "package"], ["--config-name", "other", "-p", "package"]),
        (["~seed", "+more=1", "a/b", "9"], ["~seed", "+more=1", "a/b", "9"]),
        (["a.b", "c"], ["parts=[a.b,c]"]),
    ],
)
def test_only_bare_words_are_spelt_out(arguments, expected):
    assert spell_out(arguments, "parts") == expected
    assert spell_out(arguments, None) == arguments


def test_files_that_are_there_are_bare_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("100.hea", "my ecg's.edf"):
        (tmp_path / name).touch()
    assert spell_out(["100", "my ecg's.edf", "9"], "parts") == [r"parts=['100','my ecg\'s.edf']", "9"]


def test_plain_resolves_and_holds_no_omegaconf():
    cfg = OmegaConf.create({"a": 1, "b": {"c": "${a}", "d": [{"e": "${b.c}"}]}})
    settings = plain(cfg)
    assert settings == {"a": 1, "b": {"c": 1, "d": [{"e": 1}]}}
    assert type(settings["b"]) is dict
    assert type(settings["b"]["d"]) is list
    assert plain(cfg.b) == settings["b"]


def test_plain_names_every_key_without_a_value():
    cfg = OmegaConf.create({"b": {"y": "???"}, "a": "???"})
    with pytest.raises(ValueError, match=r"give a value for a=\.\.\., b\.y=\.\.\."):
        plain(cfg)


def test_an_entry_of_a_table_is_an_option_without_a_file(start, tmp_path):
    """A new algorithm is one file and one line: its settings are those of its class."""
    answer = start("algo=added", "algo.steps=3", how=("-m", "verbs.choose"))
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "{'name': 'added', 'steps': 3, 'rate': 0.5}\n"
    answer = start("algo=adde", how=("-m", "verbs.choose"))
    assert answer.returncode == 2
    assert "choose one of added, amortised, mgps" in answer.stderr and "did you mean added" in answer.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("measure.yaml", 'defaults: [_self_]\n"hydra": {callbacks: {x: {_target_: os.system, command: "exit 3"}}}\n'),
        ("measure.yaml", "defaults: [{override hydra/launcher: mine}]\n"),
        ("measure.yaml", "# @package hydra.callbacks\nx: {_target_: os.system, command: 'exit 3'}\n"),
        ("hydra/callbacks/mine.yaml", "x: {_target_: os.system}\n"),
    ],
)
def test_a_folder_of_configs_cannot_set_up_hydra(tmp_path, name, text):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    for words in (["--config-path", str(tmp_path)], ["-m", f"--config-path={tmp_path}", "x=1"], ["-cp", str(tmp_path)]):
        with pytest.raises(ValueError, match="sets up hydra itself"):
            check_config_path(words)


def test_a_run_folder_may_be_a_folder_of_configs(tmp_path):
    RunFolder.create(tmp_path, {"algo": {"name": "mgps"}, "seed": 1}, seed=1, device="cpu")
    check_config_path(["--config-path", str(tmp_path), "--config-name", "config", "seed=2"])
    check_config_path(["algo=mgps"])


def test_what_a_config_wants_called_is_not_called(start):
    answer = start("+algo._target_=os.system", "+algo._args_=[exit 3]", "+first=1", how=("-m", "verbs.choose"))
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert "these settings do not fit the algo mgps" in answer.stderr
