"""What `--help` of a script prints: its configuration, told by the comments of its YAML files.

Nothing is composed and nothing is imported, so that help comes at once. A comment behind a key, or above it, says what
the key means; the comment on top of a root file says what the script does, with its examples.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
"""Folder of the YAML files."""
WIDTH = 100
"""Columns of a terminal that everything fits into."""
_EXPERIMENT = "experiment"
_QUIET_GROUPS = ("settings",)
"""Groups without a choice that a user would make."""
_KEY = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z_][\w.-]*):(?: +(?P<rest>.*))?$")


@dataclass(frozen=True)
class Key:
    """A key of a configuration.

    Attributes:
        path: Its name, with dots.
        default: Its value as the file has it.
        comment: What it means.
    """

    path: str
    default: str
    comment: str


@dataclass
class Page:
    """A YAML file with its comments.

    Attributes:
        summary: The first sentences of the comment on top.
        notes: The comment's further lines.
        keys: Its keys that have a value.
        defaults: The groups that it takes, with their options.
    """

    summary: str = ""
    notes: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)


def read_page(path: Path) -> Page:
    """Reads a YAML file of `configs/` with its comments.

    Args:
        path: The file.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    page, above = Page(), []
    parents: list[tuple[int, str]] = []
    heading = [line[1:].removeprefix(" ") for line in _leading_comment(lines)]
    if heading:
        page.summary, page.notes = heading[0].strip(), heading[1:]
    in_defaults = False
    for line in lines[len(heading) :]:
        stripped = line.strip()
        if stripped.startswith("#"):
            above.append(stripped[1:].strip())
            continue
        found = _KEY.match(line)
        if in_defaults and stripped.startswith("- "):
            _read_default(stripped[2:], page.defaults)
        elif found:
            in_defaults = line.startswith("defaults:")
            indent = len(found["indent"])
            parents = [(depth, name) for depth, name in parents if depth < indent]
            value, comment = _split_comment(found["rest"] or "")
            parents.append((indent, found["name"]))
            if value and not in_defaults:
                name = ".".join(name for _, name in parents)
                page.keys.append(Key(name, value, comment or " ".join(above)))
        above = [] if found or not stripped else above
    return page


def write_help(configs: Path, root: str, command: str) -> str:
    """Writes the help of a script.

    Args:
        configs: Folder of the YAML files.
        root: Name of the script's root file.
        command: How the script is called, such as `einthoven inpaint`.

    Returns:
        Lines of at most `WIDTH` columns.
    """
    page = read_page(configs / f"{root}.yaml")
    about, _, example = page.summary.partition(": python -m ")
    examples = [f"{command} {example.partition(' ')[2]}".strip()] if example else []
    notes = []
    for note in page.notes:
        words = re.match(r"\s*python -m [\w.]+ ?(.*)", note)
        examples += [f"{command} {words[1]}".strip()] if words else []
        notes += [] if words else [note]
    lines = [f"{about.rstrip('.') or root}.", "", *(f"  {line}" for line in examples[:3] or [command])]
    if any(notes):
        lines += ["", *notes]
    groups = {group: option for group, option in page.defaults.items() if group not in _QUIET_GROUPS}
    choices = list(_choices(configs, root, groups))
    if choices:
        lines += ["", "Choices, GROUP=OPTION", *choices]
    keys = {key.path: key for key in page.keys if not key.path.startswith("hydra.")}
    sections = [("Keys, KEY=VALUE", list(keys.values()))]
    for group, option in groups.items():
        file = configs / group / f"{option}.yaml"
        if group == _EXPERIMENT or not file.is_file():
            continue
        own = [Key(f"{group}.{key.path}", key.default, key.comment) for key in read_page(file).keys]
        sections.append((f"Keys of {group}={option}", [key for key in own if key.path not in keys]))
    for title, section in sections:
        if section:
            lines += ["", title, *_table([(key.path, _meaning(key)) for key in section])]
    lines += ["", "Values with brackets, spaces or commas go in quotes: 'data.leads=[I,II]'."]
    lines += ["More: --cfg job prints the whole configuration, --multirun runs a sweep."]
    return "\n".join(line.rstrip() for line in lines)


def _leading_comment(lines: Sequence[str]) -> list[str]:
    count = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line for line in lines[:count] if not line.startswith("# @package")] if count else []


def _read_default(item: str, defaults: dict[str, str]) -> None:
    """Notes a line of the list of defaults, `group: option`, if it names a group of ours."""
    item, _ = _split_comment(item)
    group, separator, option = item.removeprefix("optional ").partition(":")
    if separator and not group.startswith("override"):
        defaults[group.strip()] = option.strip()


def _split_comment(text: str) -> tuple[str, str]:
    """Splits what stands behind a key into its value and its comment."""
    quote = ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#" and (place == 0 or text[place - 1] == " "):
            return text[:place].strip(), text[place + 1 :].strip()
    return text.strip(), ""


def _choices(configs: Path, root: str, groups: dict[str, str]) -> Iterator[str]:
    """Yields the lines that list the options of each group, and the experiments of the script."""
    rows = []
    for group, chosen in groups.items():
        options = sorted(path.stem for path in (configs / group).glob("*.yaml"))
        if group == _EXPERIMENT:
            options = [name for name in options if name.startswith(f"{root}_")]
        elif len(options) < 2:
            continue
        if options:
            names = [f"{name} (default)" if name == chosen else name for name in options]
            rows.append((group, ", ".join(names)))
    yield from _table(rows)


def _meaning(key: Key) -> str:
    return f"{key.comment} [{key.default}]".strip()


def _table(rows: Sequence[tuple[str, str]], most: int = 32) -> Iterator[str]:
    """Yields two columns, the second one wrapped; a first cell that is too long has a line of its own."""
    width = min(most, max((len(name) for name, _ in rows), default=0))
    for name, text in rows:
        wrapped = textwrap.wrap(text, WIDTH - width - 4, break_long_words=False, break_on_hyphens=False) or [""]
        if len(name) > width:
            yield f"  {name}"
            name = ""
        yield f"  {name:<{width}}  {wrapped[0]}"
        yield from (" " * (width + 4) + line for line in wrapped[1:])
