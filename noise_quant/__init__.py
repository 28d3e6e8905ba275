"""Noise scores of ECG leads from their scalograms (Han et al., arXiv 2506.11815, 2025)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noise_quant.api import ecg_noise_quantification
    from noise_quant.result import NoiseScores

_PLACES = {"NoiseScores": "noise_quant.result", "ecg_noise_quantification": "noise_quant.api"}
__all__ = ["NoiseScores", "ecg_noise_quantification"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports the interface when it is first asked for: the labels' and stores' processes do without torch."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
