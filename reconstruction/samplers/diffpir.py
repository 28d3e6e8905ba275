"""DiffPIR: a plug-and-play solver whose denoiser is the prior's and whose data step is a proximal point.

Reference:
    Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool, Denoising Diffusion Models for Plug-and-Play Image Restoration,
    CVPR Workshops 2023, https://arxiv.org/abs/2305.08995 (Algorithm 1).
"""

from torch import Tensor

from diffusion_prior.model.denoiser import AnyPrior
from reconstruction.samplers.base import Chain, Draws, GuidedSampler, need


class DiffPIR(GuidedSampler):
    r"""Diffusion plug-and-play image restoration.

    A step from `t` to `s < t` takes the proximal point of the likelihood near the denoised signal (Eq. 12),

        x_hat = argmin_x |y - A x|^2_Sigma + weight (alpha_t / sigma_t)^2 |x - D(x_t, t)|^2,

    and with `z_hat = (x_t - alpha_t x_hat) / sigma_t` goes to (Eq. 15)

        x_s = alpha_s x_hat + sigma_s (sqrt(1 - zeta) z_hat + sqrt(zeta) z).

    The samples are not those of the posterior: `z_hat` is what is left of the noise, not noise, and the denoised signal
    counts as if it were as uncertain as the noise level.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Steps of the grid.
        weight: The paper's lambda: how much the denoised signal counts against the measurement.
        zeta: Share of the noise's variance that is renewed: 0 none, 1 all.
    """

    def __init__(self, denoiser: AnyPrior, n_steps: int = 100, weight: float = 1.0, zeta: float = 0.5) -> None:
        need(weight > 0 and 0 <= zeta <= 1, "weight > 0 and 0 <= zeta <= 1", weight, zeta)
        super().__init__(denoiser, n_steps)
        self.weight, self.zeta = weight, zeta

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Goes to `x_s` by the proximal point: see `GuidedSampler.step`."""
        (alpha_t, sigma_t), (alpha_s, sigma_s) = chain.schedule(t), chain.schedule(s)
        x_hat = chain.proximal(x_t, t, self.weight)
        z_hat = (x_t - alpha_t * x_hat) / sigma_t
        return alpha_s * x_hat + sigma_s * ((1 - self.zeta) ** 0.5 * z_hat + self.zeta**0.5 * chain.z_x())

    def end(self, chain: Chain, x_t: Tensor, t: Tensor) -> Draws:
        """Takes the last proximal point."""
        return chain.draws(self.consistent(chain.proximal(x_t, t, self.weight)))
