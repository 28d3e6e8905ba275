"""Adaptive superlet transform: time-frequency power that is sharp in time and in frequency, batched and fast.

Moca, Barzan, Nagy-Dabacan, Muresan, Time-frequency super-resolution with superlets, Nature Communications 12, 337
(2021), https://doi.org/10.1038/s41467-020-20539-9; fractional orders: Barzan, Moca, Ichim, Muresan, Fractional
superlets, EUSIPCO 2020. The published form is that of Han et al., arXiv 2506.11815 (2025).

A superlet at frequency f is the geometric mean of the responses of Morlet wavelets of c, 2c, 3c, ... cycles; the order,
how many of them, grows with f. A response is wanted at a few hundred instants only, which lie on a regular grid, so the
spectrum of each response is folded to the rate of that grid before it is inverted: this gives the exact values at those
instants for a twentieth of the work.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

SUPPORT_SD = 4.0
"""Half-length of a wavelet, in standard deviations of its Gaussian: 3e-4 of the peak is left there."""
HAN_SUPPORT_S = 1.0
NEGLIGIBLE = 1e-6
"""Parts of a wavelet's spectrum below this share of its peak are left out."""
CHUNK_VALUES = 3_000_000
"""Complex values of a chunk: bounds the working memory to some 100 MB whatever the batch."""
FLOOR = 1e-12
"""Added to magnitudes, so that a flat signal has a logarithm."""


@dataclass(frozen=True)
class SuperletSettings:
    """Settings of the multiplicative adaptive superlet.

    Attributes:
        min_frequency: Lowest frequency in Hz.
        max_frequency: Highest frequency in Hz.
        n_frequencies: Number of frequencies, evenly spaced.
        base_cycle: Cycles of the first wavelet of each superlet.
        min_order: Order at the lowest frequency.
        max_order: Order at the highest frequency; in between, orders are linear in the frequency.
        k_sd: A wavelet of c cycles at f has a Gaussian of standard deviation c / (k_sd f) seconds.
        published: The form published with Han et al.: orders rounded, wavelets cut at one second to either side and
            sampled on an even grid a thousandth too wide, zeros beyond the signal's ends. Otherwise orders are
            fractional, wavelets symmetric and whole, and the signal is mirrored at its ends.
    """

    min_frequency: float = 0.5
    max_frequency: float = 40.0
    n_frequencies: int = 32
    base_cycle: float = 1.0
    min_order: float = 1.0
    max_order: float = 16.0
    k_sd: float = 5.0
    published: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.min_frequency < self.max_frequency or self.n_frequencies < 2:
            raise ValueError("superlets need 0 < min_frequency < max_frequency and at least two frequencies")
        if not 1 <= self.min_order <= self.max_order or self.base_cycle <= 0 or self.k_sd <= 0:
            raise ValueError("superlets need 1 <= min_order <= max_order, and base_cycle and k_sd above 0")

    @property
    def frequencies(self) -> Tensor:
        """Frequencies in Hz, ascending, shape (F,), float64."""
        return torch.linspace(self.min_frequency, self.max_frequency, self.n_frequencies, dtype=torch.float64)

    @property
    def orders(self) -> Tensor:
        """Order of the superlet at each frequency, shape (F,), float64."""
        share = (self.frequencies - self.min_frequency) / (self.max_frequency - self.min_frequency)
        orders = (self.max_order - self.min_order) * share
        return self.min_order + (orders.round() if self.published else orders)

    def deviation(self, frequency: float, number: int) -> float:
        """Returns the standard deviation in seconds of the Gaussian of a frequency's wavelet `number`, from 1."""
        return number * self.base_cycle / (self.k_sd * frequency)

    def half_length(self) -> float:
        """Returns half the length of the longest wavelet, in seconds."""
        if self.published:
            return HAN_SUPPORT_S
        pairs = zip(self.frequencies.tolist(), self.orders.tolist(), strict=True)
        return SUPPORT_SD * max(self.deviation(f, math.ceil(order)) for f, order in pairs)


def superlet_transform(
    signal: Tensor,
    sampling_rate: float,
    settings: SuperletSettings | None = None,
    n_columns: int | None = None,
) -> Tensor:
    """Computes the scalogram of signals.

    Args:
        signal: Signals in mV, finite, shape (..., L).
        sampling_rate: Sampling rate in Hz.
        settings: Settings; by default those of our models.
        n_columns: Number of instants, evenly spaced as pixels are over a picture; by default every sample.

    Returns:
        log10 of the power in mV^2, rows from the highest to the lowest frequency, shape (..., F, n_columns), float32,
        on the device of the signal.

    Raises:
        ValueError: If a frequency is not below the Nyquist rate, the signal is too short or not finite, or no column.
    """
    settings = settings or SuperletSettings()
    length = signal.shape[-1]
    if settings.max_frequency >= sampling_rate / 2:
        raise ValueError(
            f"superlets up to {settings.max_frequency:g} Hz need a sampling rate above {2 * settings.max_frequency:g} "
            f"Hz, not {sampling_rate:g} Hz"
        )
    if length < 2 * settings.half_length() * sampling_rate:
        raise ValueError(
            f"the signal ({length / sampling_rate:g} s) is shorter than the longest wavelet "
            f"({2 * settings.half_length():g} s): give a longer one, or raise min_frequency"
        )
    if n_columns is not None and n_columns < 1:
        raise ValueError(f"n_columns must be at least 1, not {n_columns}")
    signals = signal.reshape(-1, length).float()
    if not torch.isfinite(signals).all():
        raise ValueError("the signal has values that are not finite: fill or cut them first")
    columns = n_columns or length
    # Published scalograms are interpolated from all samples, which rounds off the zeros that lie between two of them.
    instants = length if settings.published else columns
    bank = _filter_bank(settings, float(sampling_rate), length, instants, signal.device)
    chunk = max(1, CHUNK_VALUES // bank.n_values)
    out = torch.empty(len(signals), settings.n_frequencies, columns, device=signal.device)
    for start in range(0, len(signals), chunk):
        logs = bank(signals[start : start + chunk])
        out[start : start + chunk] = logs if instants == columns else interpolate(logs, columns, mode="linear")
    return out.reshape(*signal.shape[:-1], *out.shape[1:])


@dataclass(frozen=True)
class _Band:
    """Wavelets whose spectra span the same number of folds.

    Attributes:
        first: First fold of each wavelet, shape (W,).
        spectra: Spectra on their folds, shape (W, folds, M).
        mixing: What each wavelet counts in the logarithm of each row, shape (F, W).
    """

    first: Tensor
    spectra: Tensor
    mixing: Tensor


class _FilterBank:
    """All wavelets' spectra for signals of one length and rate.

    With d samples between two instants, a period of N = M d samples and a grid of M instants, the response at instant
    m is the inverse Fourier transform, of length M, of its spectrum folded modulo M. Bins are numbered from -H M to
    H M - 1, so that folds are the rows of a matrix.
    """

    def __init__(
        self, settings: SuperletSettings, sampling_rate: float, length: int, n_columns: int, device: torch.device
    ) -> None:
        spacing = length / n_columns
        margin = math.ceil(settings.half_length() * sampling_rate) + 1
        unit = n_columns // math.gcd(length, n_columns)
        self.n_instants = unit * math.ceil((length + 2 * margin) / spacing / unit)
        self.period = round(self.n_instants * spacing)
        self.n_columns, self.length, self.margin, self.published = n_columns, length, margin, settings.published
        half = math.ceil((self.period // 2 + 1) / self.n_instants)
        self.n_folds = 2 * half
        bins = torch.arange(-half * self.n_instants, half * self.n_instants)
        self.inside = (bins >= -(self.period // 2)) & (bins <= (self.period - 1) // 2)
        period_bins = bins % self.period
        self.bins = period_bins.to(device)
        hertz = bins.double() * sampling_rate / self.period
        # Instants lie in the middle of their pixels, the signal starts after its margin.
        offset = self.margin + (spacing - 1) / 2
        phase = torch.polar(torch.ones_like(hertz), 2 * math.pi * bins.double() / self.period * offset)
        self.phase = torch.where(self.inside, phase, 0).to(torch.complex64).to(device)
        self.bands = self._bands(settings, sampling_rate, hertz, period_bins, device)
        self.n_values = sum(band.spectra.numel() for band in self.bands)

    def _bands(
        self, settings: SuperletSettings, sampling_rate: float, hertz: Tensor, bins: Tensor, device: torch.device
    ) -> list[_Band]:
        """Computes the wavelets' spectra, grouped by the number of folds they span."""
        groups: dict[int, list[tuple[int, Tensor, int, float]]] = {}
        for row, (frequency, order) in enumerate(
            zip(settings.frequencies.tolist(), settings.orders.tolist(), strict=True)
        ):
            for number in range(1, math.ceil(order) + 1):
                deviation = settings.deviation(frequency, number)
                spectrum = (
                    _han_spectrum(frequency, deviation, sampling_rate, self.period)[bins]
                    if settings.published
                    else torch.exp(-2 * (math.pi * deviation * (hertz - frequency)) ** 2)
                ) * (math.sqrt(2) * self.n_instants / self.period)
                folds = torch.where(self.inside, spectrum, 0).reshape(self.n_folds, self.n_instants)
                used = torch.nonzero(folds.abs().amax(1) > NEGLIGIBLE * float(folds.abs().max()))[:, 0]
                first, last = int(used[0]), int(used[-1])
                share = min(1.0, order - number + 1) / order
                groups.setdefault(last - first + 1, []).append((first, folds[first : last + 1], row, share))
        bands = []
        for wavelets in groups.values():
            mixing = torch.zeros(settings.n_frequencies, len(wavelets))
            for column, (_, _, row, share) in enumerate(wavelets):
                mixing[settings.n_frequencies - 1 - row, column] = share
            spectra = torch.stack([folds for _, folds, _, _ in wavelets])
            dtype = torch.complex64 if spectra.is_complex() else torch.float32
            starts = torch.tensor([first for first, _, _, _ in wavelets])
            bands.append(_Band(starts.to(device), spectra.to(dtype).to(device), mixing.to(device)))
        return bands

    def __call__(self, signals: Tensor) -> Tensor:
        """Returns log10 of the power of signals (n, L), shape (n, F, n_columns)."""
        after = self.period - self.length - self.margin
        if self.published:
            padded = pad(signals, (self.margin, after))
        else:
            mirrored = pad(signals[:, None], (self.margin, self.margin), mode="reflect")[:, 0]
            padded = pad(mirrored, (0, after - self.margin))
        spectrum = torch.fft.fft(padded)[:, self.bins] * self.phase
        folds = spectrum.reshape(len(signals), self.n_folds, self.n_instants)
        total = signals.new_zeros(len(signals), len(self.bands[0].mixing), self.n_columns)
        for band in self.bands:
            n = band.spectra.shape[1]
            product = folds[:, band.first] * band.spectra[:, 0]
            for fold in range(1, n):
                product += folds[:, band.first + fold] * band.spectra[:, fold]
            response = torch.fft.ifft(product)[..., : self.n_columns]
            logs = torch.log10(response.abs() + FLOOR)
            total += torch.matmul(band.mixing, logs)
        return 2 * total


def _han_spectrum(frequency: float, deviation: float, sampling_rate: float, period: int) -> Tensor:
    """Returns the spectrum (period,) of a wavelet as published: sampled, cut, divided by the sum of magnitudes."""
    n = 2 * round(sampling_rate)
    grid = torch.linspace(-HAN_SUPPORT_S, HAN_SUPPORT_S, n, dtype=torch.float64)
    gauss = torch.exp(-(grid**2) / (2 * deviation**2))
    wavelet = torch.polar(gauss / gauss.sum(), 2 * math.pi * frequency * grid)
    # Tap i acts (n - 1) // 2 - i samples from the present, as a convolution that keeps the signal's length has it.
    taps = torch.zeros(period, dtype=torch.complex128)
    taps[(torch.arange(n) - (n - 1) // 2) % period] = wavelet
    return torch.fft.fft(taps)


@lru_cache(maxsize=16)
def _filter_bank(
    settings: SuperletSettings, sampling_rate: float, length: int, n_columns: int, device: torch.device
) -> _FilterBank:
    return _FilterBank(settings, sampling_rate, length, n_columns, device)
