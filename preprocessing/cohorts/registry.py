"""The data sets of which stores are prepared, by name."""

from einthoven.run.registry import Registry

COHORTS = Registry(
    "data set",
    {
        "ptbxl": "preprocessing.cohorts.ptbxl.Ptbxl",
        "rhythmdiff": "preprocessing.cohorts.rhythmdiff.RhythmDiff",
        "cinc2011": "preprocessing.cohorts.cinc2011.Cinc2011",
        "challenge": "preprocessing.cohorts.challenge.Challenge",
    },
)
