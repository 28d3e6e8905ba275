import numpy as np

from einthoven.web import results
from reconstruction.result import Reconstruction


def test_of_many_stretches_the_earliest_of_all_leads_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "MOST_STRETCHES", 2)
    observed = np.ones((2, 100), dtype=bool)
    observed[0, 60:70] = observed[0, 80:90] = observed[1, 20:30] = False
    zeros = np.zeros((2, 100), dtype=np.float32)
    made = Reconstruction(None, zeros, zeros, zeros, observed, ("I", "II"), 100.0, "amortised", 1, 0, 0.1, ())
    told = results.save_reconstruction(made, tmp_path / "result", "reconstruct")
    assert [(each["lead"], each["start"]) for each in told["stretches"]] == [("II", 0.2), ("I", 0.6)]
    assert told["n_stretches"] == 3
