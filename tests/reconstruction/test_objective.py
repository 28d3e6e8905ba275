"""What a sweep over reconstructions minimises."""

import numpy as np
import pytest

from einthoven.ecg.leads import LEADS, leads_to_report
from reconstruction.objective import mean_crps


def test_objective_is_the_crps_of_hidden_samples_averaged_over_records(tmp_path):
    rng = np.random.default_rng(0)
    samples, truth = rng.normal(size=(9, 4, 12, 30)), rng.normal(size=(9, 12, 30))
    observed = np.zeros(truth.shape, bool)
    observed[:, 0] = True
    observed[0, :, 10:] = True
    for name, array in (("samples", samples), ("truth", truth), ("observed", observed)):
        np.save(tmp_path / f"{name}.npy", array)
    error = np.abs(samples - truth[:, None]).mean(axis=1)
    spread = np.abs(samples[:, :, None] - samples[:, None]).sum(axis=(1, 2)) / (2 * 4 * 3)
    leads = [LEADS.index(lead) for lead in leads_to_report(observed)]
    values = [(error - spread)[row][leads][~observed[row][leads]].mean() for row in range(9)]
    assert mean_crps(tmp_path) == pytest.approx(np.mean(values), rel=1e-5)
    np.save(tmp_path / "observed.npy", np.ones(truth.shape, bool))
    assert np.isnan(mean_crps(tmp_path))
