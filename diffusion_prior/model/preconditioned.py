"""The default denoiser: a preconditioned network, conditional on labels and on measured samples.

Reference:
    Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv 2206.00364.
"""

import torch
from torch import Tensor

from diffusion_prior.model.covariates import encode_covariates
from diffusion_prior.model.denoiser import NOTHING, Conditions, Denoiser


class PreconditionedDenoiser(Denoiser):
    r"""Estimates the clean signal, `E[x given x_t, label, measured samples]`, by a preconditioned network.

    With `s = sigma_t / alpha_t` and `x_s = x_t / alpha_t`, Karras et al. Eq. (7): `c_skip x_s + c_out F(c_in x_s,
    c_noise)`, `c_skip = sigma_data^2 / (s^2 + sigma_data^2)`, `c_out = s sigma_data / sqrt(s^2 + sigma_data^2)`, `c_in
    = 1 / sqrt(s^2 + sigma_data^2)`, `c_noise = log(s) / 4`.

    The network sees the measured samples in extra channels: `y / sqrt(sigma_data^2 + sigma_y^2)`, and how much they are
    worth, `sigma_data / sqrt(sigma_data^2 + sigma_y^2)`, from 1 for exact samples to 0 where nothing was measured. An
    exact sample is its own estimate. A noisy one is a second noised signal beside `x_s`: both are joined to `u = (x_s /
    s^2 + y / sigma_y^2) s_u^2` at the noise level `s_u = (1 / s^2 + 1 / sigma_y^2)^(-1/2)`, and `u` and `s_u` take the
    places of `x_s` and `s` above (in `c_noise` the mean of `log s_u` over what is not exact). If the noise were white,
    and equal in all leads, the denoiser without a measurement would be the one with it.

    Arguments are those of `Denoiser`, with a backbone `F(x (B, 3 C, L), c_noise (B,), label (B, n_labels)) -> (B, C,
    L)`, and encoded covariates (B, 2 K) as a fourth argument where some are known.
    """

    takes_measurements = True

    def forward(self, x_t: Tensor, t: Tensor, conditions: Conditions = NOTHING) -> Tensor:
        """Denoises: see `Denoiser.forward`."""
        label, y, observed = self.label_of(x_t, conditions.label), conditions.y, conditions.observed
        alpha, sigma = self.schedule(torch.as_tensor(t, dtype=x_t.dtype, device=x_t.device).expand(len(x_t)))
        x_s, s = x_t / alpha[:, None, None], sigma / alpha
        if y is None or observed is None:
            u, s_u, c_noise = x_s, s[:, None, None], s.log() / 4
            measured = x_t.new_zeros(len(x_t), 2 * x_t.shape[1], x_t.shape[2])
        else:
            y = torch.where(observed, y, 0)
            sigma_y = x_t.new_zeros(x_t.shape[:2]) if conditions.sigma_y is None else conditions.sigma_y.to(x_t)
            sigma_y = (sigma_y if conditions.sigma_varies else sigma_y[..., None]).expand_as(x_t)
            s_u = joined_sigma(s, observed, sigma_y)
            u = torch.lerp(y, x_s, (s_u / s[:, None, None]).square())
            exact = observed & (sigma_y == 0)
            open_samples = (~exact).sum(dim=(1, 2)).clamp(min=1)
            c_noise = torch.where(exact, 0, s_u.log()).sum(dim=(1, 2)) / open_samples / 4
            scale_y = (sigma_y.square() + self.sigma_data**2).sqrt()
            measured = torch.cat([y / scale_y, observed * self.sigma_data / scale_y], dim=1)
        total = (s_u.square() + self.sigma_data**2).sqrt()
        values = conditions.covariates
        further = () if values is None else (encode_covariates(self.covariates, values),)
        network = self.backbone(torch.cat([u / total, measured], dim=1), c_noise, label, *further).to(x_t.dtype)
        x = (self.sigma_data / total).square() * u + s_u * self.sigma_data / total * network
        return x if y is None or observed is None else torch.where(exact, y, x)


def joined_sigma(s: Tensor, observed: Tensor, sigma_y: Tensor) -> Tensor:
    """Returns `s_u (B, C, L)` in mV, the noise level of the noised signal, `s (B,)`, and the measured one together.

    Where `sigma_y` (B, C, L) is 0 a sample is exact, which counts as not measured here.
    """
    s = s[:, None, None].expand_as(sigma_y)
    noisy = observed & (sigma_y > 0)
    return torch.where(noisy, s * sigma_y / (s.square() + sigma_y.square()).sqrt().clamp(min=1e-12), s)
