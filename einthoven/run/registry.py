"""Tables of names: what a config or a caller chooses by name, and where it is defined. Nothing else can be built."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from einthoven.arguments import shown


def check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a value that is not among the choices, by a ValueError that says what it is and names near ones."""
    if value not in choices:
        near = difflib.get_close_matches(str(value).lower(), choices, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown {what} {shown(value)}: {hint}choose one of {', '.join(choices)}")


class Registry(Mapping[str, Any]):
    """Classes or functions of one concept, by name; each is imported when it is asked for.

    Args:
        concept: What the entries are, such as "posterior sampler"; errors name it.
        places: Dotted name of each entry, or the entry itself, by the name that users give: a new one is a line here.
        settings_key: Key under which configs have an entry's settings; None: beside its name.
    """

    def __init__(
        self, concept: str, places: Mapping[str, str | Callable[..., Any]], settings_key: str | None = None
    ) -> None:
        self.concept, self.places, self.settings_key = concept, dict(places), settings_key

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (whatever the table holds)
        place = self.places[name]
        if not isinstance(place, str):
            return place
        module, _, attribute = place.rpartition(".")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, name: object) -> bool:
        return name in list(self.places)

    def __or__(self, other: "Registry") -> "Registry":
        return Registry(self.concept, self.places | other.places, self.settings_key)

    def check(self, name: object) -> None:
        """Refuses an unknown name, as `check_choice` does."""
        check_choice(self.concept, str(name), list(self.places))

    def name_of(self, entry: type) -> str | None:
        """Returns the name of a class in the table; None where it is not there."""
        place = f"{entry.__module__}.{entry.__qualname__}"
        return next((name for name, known in self.places.items() if known is entry or known == place), None)

    def option(self, name: str) -> dict[str, Any]:
        """Returns the config of an entry: its name, and those of its settings whose default is a plain value."""
        parameters = inspect.signature(self[name]).parameters.values()
        settings = {parameter.name: parameter.default for parameter in parameters if _is_plain(parameter.default)}
        return {"name": name, **({self.settings_key: settings} if self.settings_key else settings)}

    def build(self, config: Mapping[str, Any], **arguments: object) -> Any:  # noqa: ANN401
        """Builds what a config names by `name`, with its other keys and more as arguments.

        Raises:
            ValueError: If there is no name, it is unknown, or the settings do not fit.
        """
        settings = dict(config)
        if "name" not in settings:
            raise ValueError(f"{self.concept}: its config has no key name: choose one of {', '.join(self.places)}")
        name = settings.pop("name")
        self.check(name)
        maker = self[name]
        try:
            inspect.signature(maker).bind(**settings, **arguments)
        except TypeError as error:
            raise ValueError(f"these settings do not fit the {self.concept} {name}: {error}") from error
        return maker(**settings, **arguments)


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str)
