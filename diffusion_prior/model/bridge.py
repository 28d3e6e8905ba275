"""Steps of the forward process between any two times, and the Gaussian bridge that posterior samplers are made of."""

from torch import Tensor

from diffusion_prior.model.schedule import Schedule


class Bridge:
    """Law of a diffusion at a middle time, given a start that is less noisy and an end that is noisier.

    With `x_l = a x_start + sqrt(v) z` and `x_t = b x_l + sqrt(w) z'`, the law of `x_l` given both ends is Gaussian with

        variance  v w / (w + b^2 v)  and mean  a x_start + (b v / (w + b^2 v)) (x_t - b a x_start).

    The times are in this order; a start of None is the clean signal.
    """

    def __init__(self, schedule: Schedule, start: Tensor | None, middle: Tensor, end: Tensor) -> None:
        a, v = schedule(middle)
        v = v.square()
        if start is not None:
            a, v = transition(schedule, start, middle)
        b, w = transition(schedule, middle, end)
        self.a, self.b, self.gain = a, b, b * v / (w + b.square() * v)
        self.std = (v * w / (w + b.square() * v)).clamp(min=0).sqrt()

    def mean(self, x_start: Tensor, x_end: Tensor) -> Tensor:
        """Returns the mean at the middle time, of the shape of both ends `(..., C, L)`."""
        return self.a * x_start + self.gain * (x_end - self.b * self.a * x_start)


def transition(schedule: Schedule, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Returns `a, v` of the forward step `x_t = a x_s + sqrt(v) z` from time `s` to a later time `t`."""
    (alpha_s, sigma_s), (alpha_t, sigma_t) = schedule(s), schedule(t)
    a = alpha_t / alpha_s
    return a, (sigma_t.square() - a.square() * sigma_s.square()).clamp(min=0)
