"""A measurement that posterior samplers understand, and the way from their samples back to twelve leads."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from einthoven.ecg.leads import LEADS, independent_part
from reconstruction.measurement.noise_model import NoiseModel
from reconstruction.measurement.operators import (
    Compose,
    LeadSelection,
    LinearOperator,
    Mask,
    MeasuredLeads,
    RateChange,
    Resampling,
)
from reconstruction.measurement.saturation import SaturatedLeads


@dataclass(frozen=True)
class Measurement:
    """Samples of some leads of B records, filtered, at the prior's rate.

    Attributes:
        y: Measured samples in mV, shape (B, m, L), zeros where nothing was measured.
        observed: True where measured, shape (B, m, L).
        leads: The m measured leads.
        prior_leads: The C leads of the prior.
        noise: Law of the noise that is to be removed; None: the samples are kept as they were measured.
        resampling: Change of rate from the prior's to that of the measurement; None: the same rate.
        lower: What the ECG is not below, in mV, (B, m, L), as saturated samples say; -inf: not known; None: none is.
        upper: What it is not above, inf where nobody knows.
    """

    y: Tensor
    observed: Tensor
    leads: tuple[str, ...]
    prior_leads: tuple[str, ...]
    noise: NoiseModel | None = None
    resampling: Resampling | RateChange | None = None
    lower: Tensor | None = None
    upper: Tensor | None = None

    @cached_property
    def operator(self) -> LinearOperator:
        """The forward operator, from the prior's leads and rate to the measured ones."""
        if self.resampling is None and self.lower is None and self.upper is None:
            return MeasuredLeads(self.observed, self.leads, self.prior_leads)
        if self.resampling is None:
            return SaturatedLeads(self.observed, self.leads, self.prior_leads, self.lower, self.upper)
        return Compose(Mask(self.observed), self.resampling, LeadSelection(self.leads, self.prior_leads))

    @property
    def length(self) -> int:
        """Number of samples at the prior's rate."""
        return self.y.shape[-1] if self.resampling is None else self.resampling.length

    @property
    def is_kept(self) -> bool:
        """Whether samples are the result where they were measured: without noise, at the prior's rate."""
        return self.noise is None and self.resampling is None

    def to(self, device: str | torch.device) -> "Measurement":
        """Returns the same measurement on a device; itself where it is there already."""
        if torch.empty(0, device=device).device == self.y.device:
            return self
        lower, upper = (None if bound is None else bound.to(device) for bound in (self.lower, self.upper))
        return replace(self, y=self.y.to(device), observed=self.observed.to(device), lower=lower, upper=upper)

    def at_its_own_rate(self) -> "Measurement":
        """Returns the same measurement of an ECG at its own rate."""
        return self if self.resampling is None else replace(self, resampling=None)

    def continued(self, before: Tensor) -> "Measurement":
        """Returns the same measurement of S records that begin as `before` says, in mV, shape (S, 12, n).

        What was measured there stays; of the prior's leads all else is taken for measured too.
        """
        leads = (*self.leads, *(lead for lead in self.prior_leads if lead not in self.leads))
        own, begin = slice(len(self.leads)), slice(before.shape[-1])
        y = self.y.new_zeros(len(before), len(leads), self.y.shape[-1])
        observed = torch.zeros_like(y[:1], dtype=torch.bool)
        y[:, own], observed[:, own] = self.y, self.observed
        rows = [LEADS.index(lead) for lead in leads]
        y[..., begin] = torch.where(observed[..., begin], y[..., begin], before[:, rows])
        observed[..., begin] = True
        lower, upper = (
            None if bound is None else torch.cat([bound, torch.full_like(y[:1, bound.shape[1] :], nothing)], dim=1)
            for bound, nothing in ((self.lower, -torch.inf), (self.upper, torch.inf))
        )
        return replace(self, y=y, observed=observed, leads=leads, lower=lower, upper=upper)

    def known(self) -> tuple[Tensor, Tensor]:
        """Finds what the measurement says exactly, also by Einthoven's law.

        Returns values in mV, zeros where not known, and where they are known (bool), each of shape (B, 12, L).
        """
        if self._independent is not self:
            return self._independent.known()
        inner, known, _ = self._known_inner
        twelve = self._to_twelve(inner)
        if not self.is_kept:
            return torch.zeros_like(twelve), torch.zeros_like(twelve, dtype=torch.bool)
        # A lead is known where all leads that it is made of are.
        unknown = self._to_twelve.matrix(inner)[0].abs() @ (~known).to(inner)
        known = unknown == 0
        rows = [LEADS.index(lead) for lead in self.leads]
        twelve[:, rows] = torch.where(self.observed, self.y, twelve[:, rows])
        known[:, rows] |= self.observed
        return torch.where(known, twelve, 0.0), known

    def complete(self, samples: Tensor) -> Tensor:
        """Derives the twelve leads (S, B, 12, L) of samples (S, B, C, L), in mV, with what was measured in its place.

        Samples within the bounds stay; the others are pulled to the nearest bound. Where only a sum of leads was
        measured, such as III without I and II, these are moved by the least that fits it. So Einthoven's law holds for
        the twelve, as far as it holds for what was measured. Of priors with a lead III of its own the leads I and II
        are taken that fit all three best.
        """
        own = self._independent
        if own is not self:
            return own.complete(LeadSelection(own.prior_leads, self.prior_leads)(samples))
        inner, known, fits = self._known_inner
        inner, operator = torch.where(known, inner, samples), self.operator
        if not bool(fits.all()):
            fitted = inner + operator.pinv(self.y - operator(inner))
            inner = torch.where(fits[..., None, :], inner, fitted)
        if self.is_kept and isinstance(operator, SaturatedLeads):
            inner = operator.pull(inner)
        values, known = self.known()
        return torch.where(known, values, self._to_twelve(inner))

    @property
    def _independent(self) -> "Measurement":
        """The same measurement for a prior without leads that follow from others; itself where there is none."""
        return self if independent_part(self.prior_leads) == self.prior_leads else self._of_independent_leads

    @cached_property
    def _of_independent_leads(self) -> "Measurement":
        return replace(self, prior_leads=independent_part(self.prior_leads))

    @cached_property
    def _to_twelve(self) -> LeadSelection:
        return LeadSelection(LEADS, self.prior_leads)

    @cached_property
    def _known_inner(self) -> tuple[Tensor, Tensor, Tensor]:
        """What is known in the prior's leads, and where, (B, C, L); where it is all that was measured, (B, L)."""
        operator = self.operator
        if not self.is_kept or not isinstance(operator, MeasuredLeads):
            nothing = self.y.new_zeros(len(self.y), len(self.prior_leads), self.length)
            return nothing, nothing.bool(), nothing[:, 0] == 0
        known, fits = operator.identified(self.y)
        inner = operator.pinv(self.y)
        return inner, known.expand(inner.shape), fits.expand(inner[:, 0].shape)
