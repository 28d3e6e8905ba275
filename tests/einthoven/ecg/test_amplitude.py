"""The amplitude of a lead."""

import numpy as np
import pytest

from einthoven.ecg.amplitude import amplitude


def test_amplitude_is_that_of_beats_and_not_of_an_artefact():
    times = np.arange(1000) / 100.0
    beats = 1.3 * np.exp(-0.5 * (((times % 0.9) - 0.4) / 0.02) ** 2)
    spiked = beats.copy()
    spiked[500] = 20.0
    ecg = np.stack([beats, spiked])[None]
    np.testing.assert_allclose(amplitude(ecg, np.ones((1, 1, 1), bool), 100.0), [[1.3, 1.3]], rtol=0.01)
    unobserved = np.ones(ecg.shape, bool)
    unobserved[0, 0, :] = False
    unobserved[0, 1, 400:] = False
    found = amplitude(ecg, unobserved, 100.0)
    assert np.isnan(found[0, 0])
    assert found[0, 1] == pytest.approx(1.3, rel=0.01)
