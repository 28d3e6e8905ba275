import shutil

import pytest
import torch
from torch import nn

from einthoven.run.weights_cache import MOST, forget_weights, hash_weights, load_cached
from einthoven.run.weights_file import read_weights, write_weights


@pytest.fixture
def file(tmp_path):
    forget_weights()
    yield tmp_path / "w.safetensors"
    forget_weights()


def write(file, value):
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, value)
    write_weights(file, network, {}, {})


def load(file, device="cpu", *settings):
    def read():
        network = nn.Linear(1, 1)
        network.load_state_dict(read_weights(file)[0])
        return network

    return load_cached("test", read, file, device, *settings)


def test_rewritten_weights_are_read_again_and_equal_ones_are_shared(file, tmp_path):
    write(file, 1.0)
    first = load(file)
    assert load(file) is first
    assert not first.training and not first.weight.requires_grad
    write(file, 2.0)
    assert load(file).weight.item() == 2.0
    assert first.weight.item() == 1.0
    shutil.copy(file, tmp_path / "copy.safetensors")
    assert load(tmp_path / "copy.safetensors") is load(file)


def test_a_file_rewritten_in_place_within_a_tick_is_hashed_again(file):
    file.write_bytes(b"a")
    first = hash_weights(file)
    file.write_bytes(b"b")
    assert hash_weights(file) != first


def test_devices_share_nothing(file):
    write(file, 1.0)
    here = load(file)
    there = load(file, "meta")
    assert there.weight.device.type == "meta"
    assert here.weight.device.type == "cpu"
    assert load(file) is here and load(file, torch.device("meta")) is there


def test_settings_count_and_few_are_kept(file):
    write(file, 1.0)
    first = load(file, "cpu", 0)
    assert load(file, "cpu", 1) is not first
    for setting in range(2, 2 + MOST):
        load(file, "cpu", setting)
    assert load(file, "cpu", 0) is not first
