"""`import einthoven`: quick, and everything that people need behind one name."""

import ast
import inspect
import subprocess
import sys

import numpy as np
import pytest

import einthoven
from noise_quant import ecg_noise_quantification
from tests.paths import ROOT


def test_what_is_offered_is_named_in_three_places_alike():
    offered = set(einthoven._PLACES)
    assert set(einthoven.__all__) == offered
    tree = ast.parse(inspect.getsource(einthoven))
    imports = [node for branch in tree.body if isinstance(branch, ast.If) for node in branch.body]
    assert {alias.name: node.module for node in imports for alias in node.names} == einthoven._PLACES
    assert offered | {"__version__"} <= set(dir(einthoven))
    for name in offered:
        assert getattr(einthoven, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'restore'"):
        _ = einthoven.restore


def test_import_loads_nothing_heavy():
    code = (
        "import sys, einthoven; print(einthoven.__version__, *sorted({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [einthoven.__version__]


@pytest.mark.parametrize("name", ["reconstruct", "denoise", "score"])
def test_doors_have_the_same_names(name):
    parameters = list(inspect.signature(getattr(einthoven, name)).parameters)
    assert parameters[:3] == ["ecg", "sampling_rate", "leads"]
    assert {"seed", "weights", "key", "device"} <= set(parameters)


def test_score_is_the_papers_door_with_other_names():
    recording = einthoven.read(duration=3, leads=["I", "V2"])
    scores = einthoven.score(recording)
    same = einthoven.score(recording.signal, recording.sampling_rate, ["I", "V2"], key="demo")
    np.testing.assert_array_equal(scores.psnr, same.psnr)
    papers = ecg_noise_quantification(recording.signal, recording.sampling_rate, leads=["I", "V2"], key="demo")
    np.testing.assert_array_equal(scores.psnr, papers.psnr)
    assert (scores.leads, scores.given) == (("I", "V2"), recording)
    assert scores.verdict.tolist() == papers.verdict.tolist()
    assert einthoven.score(recording, leads="V2", key="demo").psnr.tolist() == scores.psnr[1:].tolist()


def test_score_names_what_is_missing():
    with pytest.raises(ValueError, match="leads is missing"):
        einthoven.score(np.zeros((2, 500)), 500)
    with pytest.raises(ValueError, match="sampling_rate is 50 Hz, but noise scores need 100 Hz"):
        einthoven.score(einthoven.read().signal[0, ::10], 50, "I")
