"""Tables of names: only what they hold can be built."""

import pickle

import pytest

from einthoven.run.chunks import ENGINES, LocalEngine
from einthoven.run.registry import Registry


def make(n: int, factor: float = 2.0, leads: tuple[str, ...] = ("I",), other: object = print) -> tuple[float, str]:
    return n * factor, leads[0]


TABLE = Registry("thing", {"made": f"{__name__}.make", "given": make, "absent": "no_such_package.Thing"})


@pytest.mark.parametrize("name", ["made", "given"])
def test_build_takes_settings_and_arguments(name, monkeypatch):
    monkeypatch.setitem(TABLE.places, "made", make)  # pytest's import mode gives this module no importable name
    assert TABLE.build({"name": name, "factor": 3}, n=2) == (6, "I")


def test_entries_are_imported_when_they_are_asked_for():
    assert ENGINES["local"] is LocalEngine
    assert ENGINES.build({"name": "local"}) == LocalEngine()
    assert "absent" in TABLE and len(TABLE) == 3
    with pytest.raises(ModuleNotFoundError):
        TABLE["absent"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n": 1}, "thing: its config has no key name: choose one of made, given, absent"),
        ({"name": "gven"}, "unknown thing 'gven': did you mean 'given'"),
        ({"name": "os.system"}, "unknown thing"),
        ({"name": "x" * 5000}, "unknown thing 'x{59}[.]{3}: choose one of made"),
        ({"name": ["made"]}, "unknown thing"),
        ({"name": "given", "colour": "red"}, "do not fit the thing given: .*colour"),
        ({"name": "given", "_target_": "os.system"}, "do not fit the thing given"),
        ({"name": "given", "n": 1}, "do not fit the thing given: .*multiple values"),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        TABLE.build(config, n=2)


def test_option_has_the_plain_settings():
    assert TABLE.option("given") == {"name": "given", "factor": 2.0, "leads": ("I",)}
    nested = TABLE | Registry("thing", {})
    assert nested.option("given") == TABLE.option("given")
    under = Registry("thing", {"given": make}, settings_key="settings") | TABLE
    assert under.option("given") == {"name": "given", "settings": {"factor": 2.0, "leads": ("I",)}}


def test_it_can_be_pickled():
    assert pickle.loads(pickle.dumps(ENGINES)).places == ENGINES.places
