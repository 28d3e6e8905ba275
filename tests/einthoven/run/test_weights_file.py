import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from einthoven.run.weights_file import (
    find_weights,
    read_pickled_weights,
    read_weights,
    weight_differences,
    write_weights,
)


class Counting(nn.Module):
    """A network that counts: more than half precision, or single precision, can tell apart."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.register_buffer("L", torch.tensor(2**24 + 1))
        self.register_buffer("flags", torch.tensor([True, False]))


@pytest.mark.parametrize("half", [False, True])
def test_whole_numbers_stay_what_they_are(tmp_path, half):
    network = Counting()
    write_weights(tmp_path / "w.safetensors", network, {"a": 1}, {"b": [2]}, half)
    weights, spec, facts = read_weights(tmp_path / "w.safetensors")
    assert (spec, facts) == ({"a": 1}, {"b": [2]})
    assert weights["L"].dtype == torch.int64 and int(weights["L"]) == 2**24 + 1
    assert weights["flags"].dtype == torch.bool and weights["flags"].tolist() == [True, False]
    assert weights["weight"].dtype == torch.float32
    torch.testing.assert_close(weights["weight"], network.weight.detach(), atol=2e-3 if half else 0, rtol=0)


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "zip"])
def test_pickled_weights_are_read_at_their_key_or_alone(tmp_path, modern):
    state = OrderedDict(Counting().double().state_dict())
    for content, key in (({"state": state, "step": 3}, "state"), (state, "state"), (state, None)):
        torch.save(content, tmp_path / "w.pkl", _use_new_zipfile_serialization=modern)
        weights = read_pickled_weights(tmp_path / "w.pkl", key)
        assert list(weights) == list(state) and weights["weight"].dtype == torch.float32
        assert torch.equal(weights["weight"], state["weight"].float()) and torch.equal(weights["L"], state["L"])


def test_a_dictionary_without_weights_is_refused_and_its_keys_are_told(tmp_path):
    for content in ({"optimizer_state_dict": {"lr": 0.1}}, {}, [torch.zeros(1)], {"state": {}}):
        torch.save(content, tmp_path / "w.pkl")
        with pytest.raises(ValueError, match="w.pkl holds no state dictionary, weights by name, under state or alone"):
            read_pickled_weights(tmp_path / "w.pkl", "state")
    torch.save({"optimizer_state_dict": {"lr": 0.1}}, tmp_path / "w.pkl")
    with pytest.raises(ValueError, match="its keys: optimizer_state_dict"):
        read_pickled_weights(tmp_path / "w.pkl", "state")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "zip"])
def test_a_damaged_pickle_is_one_kind_of_error(tmp_path, modern):
    torch.save(Counting().state_dict(), tmp_path / "w.pkl", _use_new_zipfile_serialization=modern)
    whole = (tmp_path / "w.pkl").read_bytes()
    cut = [whole[: len(whole) * part // 7] for part in range(7)]
    changed = [whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :] for at in range(0, len(whole), 61)]
    n_refused = 0
    for content in cut + changed + [b"hello", pickle.dumps({"a": 1})]:
        (tmp_path / "w.pkl").write_bytes(content)
        try:
            read_pickled_weights(tmp_path / "w.pkl")
        except ValueError as error:
            n_refused += str(tmp_path / "w.pkl") in str(error)
    assert n_refused >= len(cut) + 2


def test_a_folder_means_the_first_file_that_it_has(tmp_path):
    names = ("weights.safetensors", "checkpoint.pkl")
    with pytest.raises(ValueError, match="no weights at .*weights.safetensors"):
        find_weights(tmp_path, names)
    for name in reversed(names):
        (tmp_path / name).touch()
        assert find_weights(tmp_path, names) == tmp_path / name
    assert find_weights(str(tmp_path / "checkpoint.pkl")) == Path(tmp_path / "checkpoint.pkl")


def test_differences_are_counted_and_some_are_named():
    wanted = {name: torch.zeros(2) for name in "abcdef"}
    assert weight_differences(wanted, wanted) == ""
    given = {"a": torch.zeros(2), "b": torch.zeros(3), "z": torch.zeros(1)}
    assert weight_differences(given, wanted) == (
        "4 missing (c, d, e, ...); 1 unexpected (z); 1 of another shape (b (3,) for (2,))"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    network = Counting()
    with torch.no_grad():
        network.weight[1, 1] = value
    write_weights(tmp_path / "w.safetensors", network, {}, {})
    with pytest.raises(ValueError, match=r"weights that are not finite \(weight\): its training has failed"):
        read_weights(tmp_path / "w.safetensors")
    torch.save(network.state_dict(), tmp_path / "w.pt")
    with pytest.raises(ValueError, match="not finite"):
        read_pickled_weights(tmp_path / "w.pt")


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    torch.save({"bomb": torch.zeros(1, dtype=torch.float16).expand(2_000_000_000)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="damaged: bomb would be larger than the file itself"):
        read_pickled_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
def test_what_a_wrapper_put_before_the_names_is_taken_off(tmp_path, wrapper):
    torch.save({f"{wrapper}a": torch.ones(1), f"{wrapper}module.b": torch.zeros(1)}, tmp_path / "c.pkl")
    assert set(read_pickled_weights(tmp_path / "c.pkl")) == {"a", "module.b"}


def test_the_same_weights_make_the_same_file(tmp_path):
    """The library writes its notes in an order of its own each time; what depends on the file goes by its hash."""
    network = Counting()
    for number in range(12):
        write_weights(tmp_path / f"{number}.safetensors", network, {"ä": "\n", "b": 2}, {"c": [1.5]})
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1
    assert read_weights(tmp_path / "0.safetensors")[1:] == ({"ä": "\n", "b": 2}, {"c": [1.5]})
