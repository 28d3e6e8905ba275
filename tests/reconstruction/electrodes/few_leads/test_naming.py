"""`name_lead` on the bundled ECG, whose leads are known."""

import numpy as np
import pandas as pd
import pytest

import einthoven
from einthoven.ecg.leads import LEADS, LIMB_COEFFICIENTS
from reconstruction.electrodes.few_leads.naming import read_channel
from reconstruction.electrodes.fitting.calibrating import fold_records


@pytest.fixture(scope="module")
def demo():
    return einthoven.read(einthoven.DEMO_ECG)


def test_limb_leads_are_named(demo):
    """Of the bundled ECG, which is simulated, chest leads are too much like limb leads."""
    found = {lead: einthoven.name_lead(demo, lead=lead) for lead in LIMB_COEFFICIENTS}
    assert {found[lead].best for lead in ("II", "aVF")} <= {"II", "aVF"}
    assert found["aVR"].best == "aVR" and found["aVR"].probabilities["aVR"] > 0.9
    assert sum(lead in one.likely for lead, one in found.items()) >= 5
    for one in found.values():
        assert list(one.probabilities.values()) == sorted(one.probabilities.values(), reverse=True)
        assert sum(one.probabilities.values()) == pytest.approx(1.0)
        assert set(one.probabilities) == set(LEADS)


@pytest.mark.data
def test_of_real_records_most_leads_are_among_the_likely(ecg_data):
    paths = fold_records(ecg_data / "ptb-xl", [9])[:4]
    named = [(lead, einthoven.name_lead(einthoven.read(path), lead=lead)) for path in paths for lead in LEADS]
    assert sum(lead in found.likely for lead, found in named) > 0.7 * len(named)
    assert sum(lead == found.best for lead, found in named) > 0.25 * len(named)


def test_an_array_needs_no_name_and_no_unit(demo):
    named, signal = einthoven.name_lead(demo, lead="II"), demo.ordered(("II",))
    plain = einthoven.name_lead(signal[0], demo.sampling_rate)
    assert plain.probabilities == pytest.approx(named.probabilities, abs=1e-6)
    raw, stated = (einthoven.name_lead(gain * signal, demo.sampling_rate, in_mv=False) for gain in (5e4, 1.0))
    assert raw.probabilities == pytest.approx(stated.probabilities, abs=1e-3)
    noted = einthoven.name_lead(5e4 * signal, demo.sampling_rate)
    assert noted.probabilities == pytest.approx(raw.probabilities, abs=1e-3)
    assert any("unknown unit" in note for note in noted.notes)
    counts = einthoven.name_lead((2000 * signal[0]).round().astype(np.int16), demo.sampling_rate)
    assert counts.probabilities == pytest.approx(raw.probabilities, abs=0.02)
    assert any("unknown gain" in note for note in counts.notes)


def test_it_shows_and_saves_itself(demo, tmp_path):
    found = einthoven.name_lead(demo, lead="aVR")
    assert "aVR" in repr(found) and found.notes[0].startswith("probably lead aVR")
    table = pd.read_csv(found.save(tmp_path / "lead.csv"))
    assert table["lead"][0] == "aVR"
    assert found.save(tmp_path / "lead.png").is_file()
    with np.load(found.save(tmp_path / "lead.npz")) as held:
        assert held["probabilities"].sum() == pytest.approx(1.0)


def test_mistakes_are_said(demo):
    with pytest.raises(ValueError, match="several leads"):
        einthoven.name_lead(demo)
    with pytest.raises(ValueError, match="give one lead"):
        einthoven.name_lead(demo.signal, demo.sampling_rate)
    with pytest.raises(ValueError, match="sampling_rate is missing"):
        einthoven.name_lead(demo.signal[0])
    with pytest.raises(ValueError, match="ecg is a path"):
        einthoven.name_lead("watch.csv", 250.0)
    with pytest.raises(ValueError, match="no usable beats: it is flat"):
        einthoven.name_lead(np.zeros(5000), 500.0)


def test_a_channel_of_any_name_is_read(demo, tmp_path):
    file = tmp_path / "watch.csv"
    pd.DataFrame({"ECG1": demo.ordered(("II",))[0]}).to_csv(file, index=False)
    assert read_channel(file, "ECG1", demo.sampling_rate).signal.shape[0] == 1
    with pytest.raises(ValueError, match="channel=NAME"):
        read_channel(file, None, demo.sampling_rate)
    with pytest.raises(ValueError, match="channel=NAME"):
        read_channel(None, None)
    assert read_channel(None, "V2").leads == ("V2",)
