"""The posterior samplers by name."""

from reconstruction.amortised import AmortisedSampler
from reconstruction.mgps import MGPS
from reconstruction.posterior_sampler import PosteriorSampler

METHODS: dict[str, type[PosteriorSampler]] = {"amortised": AmortisedSampler, "mgps": MGPS}
