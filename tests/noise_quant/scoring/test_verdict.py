import numpy as np
import pytest

from noise_quant.model.checkpoint import HAN_THRESHOLDS, build_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.verdict import Thresholds, find_thresholds, verdicts

SPEC = {"kind": "latent", "scaling_factor": 1.0, "ae": {"width": 8, "n_blocks": 1}, "unet": {"channels": [8, 16]}}


@pytest.fixture
def model():
    return build_model(SPEC)


def test_verdicts():
    psnr = np.array([[np.inf, 26.0, 25.99], [24.0, 23.99, np.nan]])
    unusable = np.isnan(psnr)
    expected = [["clean", "clean", "partly noisy"], ["partly noisy", "heavily noisy", "unusable"]]
    np.testing.assert_array_equal(verdicts(psnr, unusable, Thresholds(26, 24)), expected)
    unknown = verdicts(psnr, unusable, None)
    np.testing.assert_array_equal(unknown, [["", "", ""], ["", "", "unusable"]])


def test_an_unusable_lead_is_never_clean():
    assert verdicts([40.0], [True], Thresholds(26, 24))[0] == "unusable"


def test_thresholds_come_with_the_weights(model):
    model.facts = {"thresholds": {"ddim-10-30": {"clean": 27.5, "heavy": 23}}}
    assert find_thresholds(model, ReverseProcess()) == Thresholds(27.5, 23.0)
    with pytest.warns(UserWarning, match=r"ddim-10-50.*calibrate"):
        assert find_thresholds(model, ReverseProcess(timestep=50)) is None


def test_hans_thresholds_are_for_his_settings_only(model):
    with pytest.warns(UserWarning, match="no thresholds"):
        assert find_thresholds(model, ReverseProcess()) is None
    model.facts = {"published": True, "thresholds": HAN_THRESHOLDS}
    assert find_thresholds(model, ReverseProcess()) == Thresholds(26.0, 24.0)
    with pytest.warns(UserWarning, match="no thresholds"):
        assert find_thresholds(model, ReverseProcess(noise_scheduler_type="ddpm")) is None


def test_thresholds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="must not exceed"):
        Thresholds(clean=20, heavy=25)


def test_what_is_clean_where_it_was_measured_is_not_called_clean():
    found = verdicts([30.0, 30.0, 25.0], [False] * 3, Thresholds(26, 24), missing_s=[1.0, 4.0, 4.0])
    assert found.tolist() == ["clean", "partly missing", "partly noisy"]
