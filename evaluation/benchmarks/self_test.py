"""Known answers: each computation that matters, on a device, beside what it gave on a processor in float32.

A device, a driver or a build of torch that computes something else is found in some seconds.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.schedule import DiscreteSchedule
from einthoven.ecg.reading import DEMO_ECG, read
from einthoven.randomness import seeded_generator
from einthoven.run.progress import track
from noise_quant.api import score
from noise_quant.scalogram.image import WIDTH
from noise_quant.scalogram.superlet import superlet_transform
from reconstruction.api import reconstruct
from reconstruction.samplers.spec import SamplerSpec

ANSWERS = Path(__file__).with_name("answers.json")
"""What the checks gave on a processor, by name."""
BACKBONE = {"name": "unet1d", "channels": [8], "kernel_sizes": [3], "attention": [False], "n_blocks": 1}


@dataclass(frozen=True)
class Check:
    """What came of one computation.

    Attributes:
        name: Its name.
        device: Where it ran.
        error: Largest difference from the known answer, in units of what is allowed; None: there is no answer.
        seconds: How long it took.
        note: Why there is none.
        skipped: Whether it was left out, as a package is missing.
    """

    name: str
    device: str
    error: float | None
    seconds: float
    note: str = ""
    skipped: bool = False

    @property
    def failed(self) -> bool:
        """Whether the answer is another one than the known, or there is none."""
        return not self.skipped and (self.error is None or not self.error <= 1)


def superlets(device: str) -> NDArray[np.float64]:
    """Mean log10 power of the demo ECG's lead II at four frequencies, and of four instants."""
    ecg = read(DEMO_ECG)
    lead = torch.from_numpy(ecg.ordered(("II",))).to(device)
    image = superlet_transform(lead, ecg.sampling_rate, n_columns=WIDTH)[0].double().cpu().numpy()
    return np.concatenate([image[::8].mean(axis=1)[:4], image[:, ::64].mean(axis=0)[:4]])


def noise_scores(device: str) -> NDArray[np.float64]:
    """PSNR of the demo ECG's leads I, II and V2, in dB."""
    return np.asarray(score(read(DEMO_ECG), leads=["I", "II", "V2"], device=device).psnr[:, 0])


def amortised(device: str) -> NDArray[np.float64]:
    """V2 and V5 of the demo ECG from its lead I, in mV, at four times."""
    return _rebuilt(SamplerSpec("amortised", {"n_steps": 4}), device)


def guided(device: str) -> NDArray[np.float64]:
    """The same by a sampler that goes backward through the network."""
    return _rebuilt(SamplerSpec("dps", {"n_steps": 3}), device)


def sashimi(device: str) -> NDArray[np.float64]:
    """A small SaShiMi's estimate of noised ECGs, and the gradient of its square."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Sashimi(d_model=8, n_layers=1, pool=(2,), L=64)
        for weight in network.final_conv.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    denoiser = EpsilonDenoiser(network, DiscreteSchedule(), record_length=56, segment_length=64).eval().to(device)
    x = torch.randn(2, len(denoiser.leads), 56, generator=seeded_generator("self-test")).to(device).requires_grad_()
    estimate = denoiser(x, torch.tensor(0.5, device=device))
    (gradient,) = torch.autograd.grad(estimate.square().sum(), x)
    numbers = torch.stack([estimate.std(), estimate[0, 1, 7], gradient.std(), gradient[1, 2, 9]])
    return numbers.detach().double().cpu().numpy()


def training(device: str) -> NDArray[np.float64]:
    """Losses of a small prior in three steps of training."""
    from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
    from diffusion_prior.training.observation import ObservationPatterns

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        denoiser = build_denoiser({"backbone": BACKBONE})
    objective = DenoisingObjective(denoiser, NoiseLevels(), ObservationPatterns()).to(device).train()
    optimizer = torch.optim.AdamW(objective.parameters(), 3e-3)
    losses = []
    for step in range(3):
        generator = seeded_generator("self-test", step)
        batch = {"x": 0.3 * torch.randn(4, len(denoiser.leads), 128, generator=generator)}
        batch["label"] = torch.zeros(4, denoiser.n_labels)
        drawn = {name: value.to(device) for name, value in objective.draw(batch, generator).items()}
        loss = objective(drawn).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return np.array(losses)


CHECKS: Mapping[str, tuple[Callable[[str], NDArray[np.float64]], float]] = {
    "superlets": (superlets, 0.01),
    "noise scores": (noise_scores, 0.1),
    "amortised sampler": (amortised, 0.003),
    "guided sampler": (guided, 0.01),
    "SaShiMi and its gradient": (sashimi, 0.01),
    "training": (training, 0.01),
}
"""The computations by name, and by how much their numbers may differ."""


def self_test(devices: Sequence[str], names: Sequence[str] = tuple(CHECKS), answers: Path = ANSWERS) -> list[Check]:
    """Runs the checks on devices.

    Args:
        devices: Such as "cpu" or "cuda:0".
        names: Which checks.
        answers: The known answers.
    """
    known = json.loads(answers.read_text(encoding="utf-8"))
    wanted = [(device, name) for device in devices for name in names]
    return [_check(name, device, np.array(known[name])) for device, name in track(wanted, "check", "self-test")]


def write_answers(path: Path = ANSWERS) -> None:
    """Writes what the checks give on this processor, as the known answers."""
    found = {name: [round(float(value), 6) for value in compute("cpu")] for name, (compute, _) in CHECKS.items()}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _check(name: str, device: str, answer: NDArray[np.float64]) -> Check:
    compute, allowed = CHECKS[name]
    start = time.perf_counter()
    try:
        found = compute(device)
    except Exception as error:  # whatever a device cannot do is what is to be found
        text = (str(error) or type(error).__name__).splitlines()[0]
        return Check(name, device, None, time.perf_counter() - start, text, skipped="pip install" in text)
    off = float(np.abs(found - answer).max() / allowed) if np.isfinite(found).all() else float("inf")
    return Check(name, device, off, time.perf_counter() - start)


def _rebuilt(spec: SamplerSpec, device: str) -> NDArray[np.float64]:
    result = reconstruct(read(DEMO_ECG), leads=["I"], n_samples=2, sampler=spec.build(device), device=device)
    return np.concatenate([result.mean[result.leads.index(lead), [600, 1400, 2300, 4000]] for lead in ("V2", "V5")])
