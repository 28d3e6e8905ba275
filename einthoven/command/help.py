"""What `--help` of a script prints: its configuration, told by the comments of its YAML files.

Nothing is composed and nothing is imported, so that help comes at once. A comment behind a key, or above it, says what
the key means; one behind a key that holds others speaks for those without a comment of their own. The comment on top
of a root file says what the script does, with its examples.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
"""Folder of the YAML files."""
WIDTH = 100
"""Columns of a terminal that everything fits into."""
_EXPERIMENT = "experiment"
_OPTIONS_OWN = ("name", "kind", "size")
"""Keys in which an option of a group says which one it is: they are chosen with the option."""
_PACKAGE = re.compile(r"# @package (\S+)")
_MOST_VALUES = 6
"""Values of a group of keys that are shown behind its comment."""
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
        blocks: Comments of the keys that hold others.
        package: Where its keys belong, such as `_global_`; empty: below its group.
        defaults: The groups that it takes, with their options.
    """

    summary: str = ""
    notes: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)
    package: str = ""
    defaults: dict[str, str] = field(default_factory=dict)


def read_page(path: Path) -> Page:
    """Reads a YAML file of `configs/` with its comments.

    Args:
        path: The file.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    page, above = Page(), list[str]()
    package = _PACKAGE.fullmatch(lines[0]) if lines else None
    if package:
        page.package, lines = package[1], lines[1:]
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
            name, comment = ".".join(name for _, name in parents), comment or " ".join(above)
            if value.startswith("&") or not value:
                page.blocks |= {name: comment} if comment else {}
            elif not in_defaults:
                page.keys.append(Key(name, value, comment))
        above = [] if found or not stripped else above
    return page


def write_help(configs: Path, root: str, command: str, more: Mapping[str, Iterable[str]] | None = None) -> str:
    """Writes the help of a script.

    Args:
        configs: Folder of the YAML files.
        root: Name of the script's root file.
        command: How the script is called, such as `einthoven inpaint`.
        more: Options of groups that have no file.

    Returns:
        Lines of at most `WIDTH` columns.
    """
    page = read_page(configs / f"{root}.yaml")
    about, examples, notes = describe(page, command)
    lines = [f"{about or root}.", "", *(f"  {line}" for line in examples or [command])]
    if any(notes):
        lines += ["", *notes[not notes[0].strip() :]]
    choices = list(_choices(configs, root, page.defaults, more or {}))
    if choices:
        lines += ["", "Choices, GROUP=OPTION", *choices]
    for title, keys in sections(configs, page):
        lines += ["", title, *_table(_rows(keys, page))]
    lines += ["", "Values with brackets, spaces or commas go in quotes: 'data.leads=[I,II]'."]
    lines += ["More: --cfg job prints the whole configuration, --multirun runs a sweep."]
    return "\n".join(line.rstrip() for line in lines)


def describe(page: Page, command: str) -> tuple[str, list[str], list[str]]:
    """Returns what the comment on top of a root file says: what the script does, its examples, and further lines.

    Args:
        page: The root file.
        command: How the script is called; stands in the examples.
    """
    about, _, example = page.summary.partition(": python -m ")
    examples = [f"{command} {example.partition(' ')[2]}".strip()] if example else []
    notes = []
    for note in page.notes:
        words = re.match(r"\s*python -m [\w.]+ ?(.*)", note)
        examples += [f"{command} {words[1]}".strip()] if words else []
        notes += [] if words else [note]
    return about.rstrip("."), examples, notes


def sections(configs: Path, page: Page) -> Iterator[tuple[str, list[Key]]]:
    """Yields the keys of a root file, and of the options of groups that it takes, with the title of each list.

    The comments of keys that hold others are added to the page's.

    Args:
        configs: Folder of the YAML files.
        page: The root file.
    """
    known = {key.path for key in page.keys}
    if page.keys:
        yield "Keys, KEY=VALUE", [key for key in page.keys if not key.path.startswith("hydra.")]
    for group, option in page.defaults.items():
        file = configs / group / f"{option}.yaml"
        if group == _EXPERIMENT or not file.is_file():
            continue
        part = read_page(file)
        package = part.package or group
        prefix = "" if package == "_global_" else f"{package}."
        page.blocks |= {f"{prefix}{name}": comment for name, comment in part.blocks.items()}
        own = [
            Key(f"{prefix}{key.path}", key.default, key.comment)
            for key in part.keys
            if not (prefix and key.path in _OPTIONS_OWN) and not key.path.startswith("hydra.")
        ]
        own = [key for key in own if key.path not in known]
        known |= {key.path for key in own}
        if own:
            yield f"Keys of {group}={option}", own


def _leading_comment(lines: Sequence[str]) -> list[str]:
    count = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return list(lines[:count])


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


def _choices(configs: Path, root: str, groups: Mapping[str, str], more: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yields the lines that list the options of each group, and the experiments of the script."""
    rows = []
    for group, chosen in groups.items():
        options = find_options(configs, root, group, more.get(group, ()))
        if len(options) > (group != _EXPERIMENT):
            names = [f"{name} (default)" if name == chosen else name for name in options]
            rows.append((group, ", ".join(names)))
    yield from _table(rows)


def find_options(configs: Path, root: str, group: str, more: Iterable[str] = ()) -> list[str]:
    """Lists the options of a group; of the experiments those of one script.

    Args:
        configs: Folder of the YAML files.
        root: Name of the script's root file.
        group: The group.
        more: Options without a file.
    """
    options = sorted({path.stem for path in (configs / group).glob("*.yaml")} | set(more))
    return [name for name in options if group != _EXPERIMENT or name.startswith(f"{root}_")]


def _rows(keys: Sequence[Key], page: Page) -> list[tuple[str, str]]:
    """Makes a row of each key with a comment, and one of all those that the comment of their parent speaks for."""
    rows: list[tuple[str, str]] = []
    values: dict[str, list[str]] = {}
    for key in keys:
        block = None if key.comment else find_block(key.path, page.blocks)
        if block is None:
            rows.append((key.path, f"{key.comment} [{key.default}]".strip()))
        elif block in values:
            values[block].append(f"{key.path.removeprefix(f'{block}.')}: {key.default}")
        else:
            values[block] = [f"{key.path.removeprefix(f'{block}.')}: {key.default}"]
            rows.append((f"{block}.*", block))
    return [(name, _block_text(text, page, values[text]) if name == f"{text}.*" else text) for name, text in rows]


def _block_text(block: str, page: Page, values: Sequence[str]) -> str:
    shown = ", ".join(values) if len(values) <= _MOST_VALUES else f"{', '.join(values[:_MOST_VALUES])}, ..."
    return f"{page.blocks[block]} [{shown}]"


def find_block(path: str, blocks: Mapping[str, str]) -> str | None:
    """Finds the nearest key above one whose comment speaks for it; None where there is none.

    Args:
        path: The key, with dots.
        blocks: Comments of keys that hold others.
    """
    above = path.rpartition(".")[0]
    while above and above not in blocks:
        above = above.rpartition(".")[0]
    return above or None


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
