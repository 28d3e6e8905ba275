"""Names that configs of earlier run folders have, and what they are called now."""

from collections.abc import Mapping
from typing import Any

_ENTRIES: dict[str, str | None] = {
    "preprocessing.engine.LocalEngine": "local",
    "preprocessing.ray_engine.RayEngine": "ray",
    "noise_quant.sources.ptbxl_source": None,
    "noise_quant.sources.cinc2011_source": None,
    "noise_quant.sources.recording_source": None,
    "noise_quant.mixtures.mixture_source": None,
    "reconstruction.mgps.GradientSchedule": None,
    "reconstruction.amortised.AmortisedSampler": "amortised",
    "reconstruction.ddnm.DDNM": "ddnm",
    "reconstruction.decoupled.DecoupledSampler": "decoupled",
    "reconstruction.descod.Descod": "descod",
    "reconstruction.diffpir.DiffPIR": "diffpir",
    "reconstruction.dps.DPS": "dps",
    "reconstruction.fourier_em.FourierEM": "fourier_em",
    "reconstruction.mgps.MGPS": "mgps",
    "reconstruction.pigdm.PiGDM": "pigdm",
    "reconstruction.red_diff.REDDiff": "red_diff",
    "reconstruction.repaint.RePaint": "repaint",
    "reconstruction.spectral_em.SpectralEM": "spectral_em",
    "reconstruction.unet_denoiser.UNetDenoiser": "unet_denoiser",
    "reconstruction.unet_regression.UNetRegression": "unet_regression",
}
"""Registered name of what a `_target_` named; None: the key that the part stands under says it."""


def rename_targets(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config of a run folder as it would be written now: registered names in the place of `_target_`.

    What names no known part keeps its `_target_`, and nothing builds it.
    """
    renamed: dict[str, Any] = _renamed(dict(config))
    algo = renamed.get("algo")
    if isinstance(algo, dict) and isinstance(algo.get("sampler"), dict) and isinstance(config["algo"], Mapping):
        if "_target_" in config["algo"]["sampler"]:
            algo["sampler"].pop("name", None)  # it is algo.name
    return renamed


def _renamed(part: Any) -> Any:  # noqa: ANN401
    if isinstance(part, list):
        return [_renamed(one) for one in part]
    if not isinstance(part, Mapping):
        return part
    kept = {key: _renamed(value) for key, value in part.items()}
    if kept.get("_target_") not in _ENTRIES:
        return kept
    name = _ENTRIES[kept.pop("_target_")]
    kept.pop("_partial_", None)
    return kept if name is None else {"name": name, **kept}
