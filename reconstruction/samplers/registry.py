"""The posterior samplers by name: a new one is a file and a line here."""

from einthoven.run.registry import Registry

METHODS = Registry(
    "method",
    {
        "amortised": "reconstruction.samplers.amortised.AmortisedSampler",
        "mgps": "reconstruction.samplers.mgps.MGPS",
        "decoupled": "reconstruction.samplers.decoupled.DecoupledSampler",
        "ddnm": "reconstruction.samplers.ddnm.DDNM",
        "diffpir": "reconstruction.samplers.diffpir.DiffPIR",
        "repaint": "reconstruction.samplers.repaint.RePaint",
        "dps": "reconstruction.samplers.dps.DPS",
        "pigdm": "reconstruction.samplers.pigdm.PiGDM",
        "red_diff": "reconstruction.samplers.red_diff.REDDiff",
    },
    settings_key="sampler",
)
BLIND_METHODS = Registry(
    "method",
    {
        "spectral_em": "reconstruction.samplers.spectral_em.SpectralEM",
        "fourier_em": "reconstruction.samplers.fourier_em.FourierEM",
    },
)
"""Samplers that estimate the noise too, from the one of the likelihood."""
RIVALS = Registry(
    "method",
    {
        "unet_regression": "reconstruction.rivals.unet_regression.UNetRegression",
        "descod": "reconstruction.rivals.descod.Descod",
        "unet_denoiser": "reconstruction.rivals.unet_denoiser.UNetDenoiser",
    },
)
"""What the others are compared with: they need weights of `reconstruction.train_rival`, and no weights are bundled."""
ALL_METHODS = METHODS | BLIND_METHODS | RIVALS
