"""`check_electrodes` on the bundled ECG, as it is and with mistakes made on purpose."""

from dataclasses import replace

import numpy as np
import pytest

import einthoven
from diffusion_prior.checkpoint import DISTILLED
from einthoven.ecg.leads import LEADS
from reconstruction.electrodes.checking import electrodes_note
from reconstruction.electrodes.eight_leads import corrected_signal, derivable
from reconstruction.electrodes.maps import AS_RECORDED, hypotheses


@pytest.fixture(scope="module")
def demo():
    whole = einthoven.read(einthoven.DEMO_ECG)
    return replace(whole, signal=whole.signal[:, : round(3 * whole.sampling_rate)], name="demo")


def swapped(recording, name):
    return replace(recording, signal=corrected_signal(recording, hypotheses()[name].swap))


def test_as_recorded_nothing_is_said(demo):
    found = einthoven.check_electrodes(demo)
    assert (found.best, found.note) == (AS_RECORDED, "")
    assert found.corrected is found.given
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert list(found.probabilities.values()) == sorted(found.probabilities.values(), reverse=True)
    assert "as recorded" in repr(found)


def test_a_swap_is_found_and_put_right_when_asked(demo, tmp_path):
    given = swapped(demo, "RA/LA")
    found = einthoven.check_electrodes(given)
    assert found.best == "RA/LA"
    assert "nothing was corrected" in found.note
    np.testing.assert_allclose(found.corrected.signal, demo.signal, atol=1e-6)
    assert found.corrected.notes[-1].startswith("corrected for RA/LA")
    assert found.to_data_frame()["hypothesis"][0] == "RA/LA"
    assert found.save(tmp_path / "check.csv").is_file()
    assert found.save(tmp_path / "check.png").is_file()


@pytest.mark.parametrize("user", [einthoven.check_electrodes, einthoven.repair])
def test_distilled_weights_are_refused_by_what_needs_the_whole_prior(demo, user):
    with pytest.raises(ValueError, match="distilled"):
        user(demo, weights=DISTILLED)


def test_a_repair_notes_it_when_asked(demo):
    given = swapped(demo, "RA/LA")
    asked = einthoven.repair(given, n_samples=2, electrodes=True)
    assert any("RA/LA" in note for note in asked.notes)
    plain = einthoven.repair(given, n_samples=2)
    assert not any("RA/LA" in note for note in plain.notes)
    np.testing.assert_array_equal(asked.recording.signal, plain.recording.signal)
    assert electrodes_note(replace(demo, signal=demo.signal[:1], leads=("aVR",))) == ""


def test_of_few_leads_only_what_is_sure_is_told(demo):
    found = einthoven.check_electrodes(demo, leads=["I", "II"])
    assert (found.best, found.note) == (AS_RECORDED, "")
    assert any("I and II alone" in note for note in found.notes)
    found = einthoven.check_electrodes(demo, leads=["II", "V1", "V2", "V5"])
    assert (found.best, found.note) == (AS_RECORDED, "")
    assert any("not all of I, II" in note for note in found.notes)
    flat = replace(demo, signal=np.stack([demo.signal[0], 0.05 * demo.signal[1]]), leads=("I", "II"))
    found = einthoven.check_electrodes(flat)
    assert found.best == "RA/RL"
    with pytest.raises(ValueError, match="an arm was not measured"):
        found.corrected  # noqa: B018
    with pytest.raises(ValueError, match="too little is usable"):
        einthoven.check_electrodes(demo, leads=["aVR"])


def test_leads_that_a_swap_does_not_reach_stay_to_the_bit(demo):
    fixed = corrected_signal(demo, hypotheses()["V1/V2"].undo)
    rest = [row for row, lead in enumerate(LEADS) if lead not in ("V1", "V2")]
    assert np.array_equal(fixed[rest], demo.signal[rest])
    assert np.array_equal(fixed[LEADS.index("V1")], demo.signal[LEADS.index("V2")])


def test_missing_samples_stay_missing_where_they_are_needed(demo):
    signal = demo.signal.copy()
    signal[LEADS.index("V3"), :100] = np.nan
    fixed = corrected_signal(replace(demo, signal=signal), hypotheses()["V2/V3"].undo)
    assert np.isnan(fixed[LEADS.index("V2"), :100]).all()
    assert np.isfinite(fixed[[row for row, lead in enumerate(LEADS) if lead != "V2"]]).all()


def test_a_lead_that_lacks_cannot_be_corrected(demo):
    few = replace(demo, signal=demo.signal[:1], leads=("I",))
    with pytest.raises(ValueError, match="made of II"):
        corrected_signal(few, hypotheses()["LA/LL"].undo)


def test_which_of_the_eight_follow():
    assert derivable(("III", "aVF", "V2")) == ["I", "II", "V2"]
    assert derivable(("II", "V2")) == ["II", "V2"]
