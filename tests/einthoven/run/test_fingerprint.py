"""Equal work has one fingerprint, other work another."""

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from einthoven.run.fingerprint import fingerprint


class Keeps:
    def __init__(self, a: int, b: object = None) -> None:
        self.a, self.b, self.n_calls, self._kept = a, b, 0, {}


class ReadsFile(Keeps):
    def depends_on(self):
        return {"content": "of the file"}


def closes_over(value):
    return lambda: value


@dataclass(frozen=True)
class Settings:
    level: float = 1.0
    other: object = None


def network(seed=0, facts=None):
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(2, 2))
    made.facts = facts or {}
    return made


VALUES = [
    None,
    1,
    "a",
    [1, 2],
    Path("a/b"),
    np.arange(3),
    np.arange(3.0),
    np.arange(4).reshape(2, 2),
    torch.arange(3),
    torch.arange(3, dtype=torch.bfloat16),
    torch.tensor(1.0),
    functools.partial(print, 1),
    functools.partial(print, 2),
    network,
    Keeps,
    Keeps(1),
    Keeps(2),
    Keeps(1, np.arange(3)),
    Keeps(1, Keeps(1)),
    ReadsFile(1),
    closes_over(1),
    closes_over(2),
    Keeps(1).__init__,
    Settings(),
    Settings(2.0),
    Settings(other={"a": network()}),
    network(),
    network(1),
    network(facts={"gain": 1.1}),
]


def test_other_work_has_another_fingerprint():
    told = [json.dumps(fingerprint(value)) for value in VALUES]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_copy_has_the_same(value):
    assert fingerprint(copy.deepcopy(value)) == fingerprint(value)


def test_what_was_counted_does_not_matter():
    thing = Keeps(1)
    before = fingerprint(thing)
    thing.n_calls = thing._kept["a"] = 3
    assert fingerprint(thing) == before


def test_a_part_may_lead_back_to_the_whole():
    thing = Keeps(1)
    thing.b = [thing]
    assert fingerprint(thing)["b"] == ["itself"]


def test_an_object_without_attributes_is_refused():
    with pytest.raises(TypeError, match="shows nothing that it depends on"):
        fingerprint(object())


def test_a_layer_that_is_set_otherwise_is_another_network():
    one, other = nn.Sequential(nn.Dropout(0.1)), nn.Sequential(nn.Dropout(0.2))
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one.eval()) == fingerprint(one.train())
