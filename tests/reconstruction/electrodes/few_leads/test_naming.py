"""`name_lead` on the bundled ECG, whose leads are known."""

import numpy as np
import pandas as pd
import pytest

import einthoven
from einthoven.ecg.leads import LEADS
from reconstruction.electrodes.few_leads.naming import read_channel


@pytest.fixture(scope="module")
def demo():
    return einthoven.read(einthoven.DEMO_ECG)


def test_most_leads_are_among_those_that_are_told(demo):
    found = {lead: einthoven.name_lead(demo, lead=lead) for lead in LEADS}
    assert sum(found[lead].best == lead for lead in LEADS) >= 5
    assert sum(lead in found[lead].likely for lead in LEADS) >= 9
    assert found["aVR"].best == "aVR"
    for one in found.values():
        assert list(one.probabilities.values()) == sorted(one.probabilities.values(), reverse=True)
        assert sum(one.probabilities.values()) == pytest.approx(1.0)
        assert set(one.probabilities) == set(LEADS)


def test_an_array_needs_no_name_and_no_unit(demo):
    named, signal = einthoven.name_lead(demo, lead="II"), demo.ordered(("II",))
    plain = einthoven.name_lead(signal[0], demo.sampling_rate)
    assert plain.probabilities == pytest.approx(named.probabilities, abs=1e-6)
    raw, stated = (einthoven.name_lead(gain * signal, demo.sampling_rate, in_mv=False) for gain in (5e4, 1.0))
    assert raw.probabilities == pytest.approx(stated.probabilities, abs=1e-3)
    noted = einthoven.name_lead(5e4 * signal, demo.sampling_rate)
    assert noted.probabilities == pytest.approx(raw.probabilities, abs=1e-3)
    assert any("unknown unit" in note for note in noted.notes)


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
    with pytest.raises(ValueError, match="sampling_rate is missing"):
        einthoven.name_lead(demo.signal[0])
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
