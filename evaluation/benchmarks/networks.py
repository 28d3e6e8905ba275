"""The prior's networks beside RhythmDiff's: one call of each, as the samplers make it, and a whole MGPS.

Of our U-Net (eight leads, 1000 samples, and its conditioning channels), of our SaShiMi and of RhythmDiff's order of
computation (nine leads, padded to 1024). Weights are frozen, so a backward pass goes to the noised ECG only: that is
what MGPS and its kin need, and how RhythmDiff runs its network too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from diffusion_prior.checkpoint import load_denoiser
from diffusion_prior.model.acceleration import accelerate_denoiser
from diffusion_prior.model.denoiser import Denoiser
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.schedule import DiscreteSchedule
from evaluation.benchmarks.measuring import Calls, timed
from evaluation.benchmarks.rhythmdiff_order import in_rhythmdiff_order
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.api import reconstruct
from reconstruction.samplers.spec import SamplerSpec

RHYTHMDIFF = "RhythmDiff's order"
FORWARD_CALLS, BACKWARD_CALLS = 538, 290
"""Network calls of RhythmDiff's MGPS for ten samples of an ECG, and how many of them go backward too (counted)."""


def restore(
    method: str | Sequence[str],
    n_samples: int,
    weights: str | None,
    device: str = "cpu",
    precision: str = "float32",
) -> Calls:
    """Reconstructs one ECG of 10 s at 100 Hz from lead I, by a method or, in turns, by several: see `method_spec`."""
    ecg = simulate_ecg(1)[0, :1]

    def calls(name: str) -> Callable[[], dict[str, Any]]:
        sampler = method_spec(name, weights=weights, precision=precision).build(device)

        def call() -> dict[str, Any]:
            result = reconstruct(ecg, 100, ["I"], n_samples, sampler=sampler, device=device)
            return {"network_calls": result.network_calls, "gradient_calls": result.gradient_calls}

        return call

    return {f"{name}{on(device)}": calls(name) for name in ([method] if isinstance(method, str) else method)}


def method_spec(name: str, **others: Any) -> SamplerSpec:  # noqa: ANN401
    """Returns how to make a sampler from the name of its method and, after a comma, of a preset: "amortised, fast"."""
    method, _, preset = name.partition(", ")
    return SamplerSpec(method, {"preset": preset} if preset else {}, **others)


def call_networks(networks: Sequence[str], batch: int, backward: bool, **setting: Any) -> Calls:  # noqa: ANN401
    """Calls each network once on a batch of ECGs of `length` samples, forward or also backward to the noised ECGs."""
    length = setting.pop("length")
    way = ("forward + backward" if backward else "forward") + on(setting["device"])
    built = {name: build_network(name, **setting) for name in networks}
    return {f"{name}, {way}": _network_call(denoiser, batch, backward, length) for name, denoiser in built.items()}


def compare_mgps(
    n_samples: int, precisions: Sequence[str], weights: str | None, sashimi: Mapping[str, Any], length: int, device: str
) -> Calls:
    """Runs our MGPS on one ECG, at its defaults, beside the network calls that RhythmDiff's takes.

    Theirs is not run, which would take most of an hour on a processor: its time is `FORWARD_CALLS` calls in its order,
    of which `BACKWARD_CALLS` go backward too, each as long as one was here. What it computes besides is left out, in
    its favour.
    """
    calls: dict[str, Callable[[], object]] = {
        f"MGPS, {form}{on(device)}": restore("mgps", n_samples, weights, device, form)[f"mgps{on(device)}"]
        for form in precisions
    }
    theirs = build_network(RHYTHMDIFF, weights, sashimi, device)
    both_ways = [_network_call(theirs, n_samples, backward, length) for backward in (False, True)]

    def reckon() -> dict[str, Any]:
        forward, both = (timed(call)["seconds"] for call in both_ways)
        return {"seconds": (FORWARD_CALLS - BACKWARD_CALLS) * forward + BACKWARD_CALLS * both}

    return {**calls, f"RhythmDiff's MGPS, calls x seconds{on(device)}": reckon}


def build_network(name: str, weights: str | None, sashimi: Mapping[str, Any], device: str) -> Denoiser:
    """Builds a denoiser for the samplers, with frozen weights.

    Args:
        name: "U-Net", "SaShiMi" or `RHYTHMDIFF`; behind the first two, after a comma, "bf16", "compiled" or
            "compiled bf16", and behind SaShiMi also "kernels per call".
        weights: Weights of the U-Net; None: the bundled ones.
        sashimi: Arguments of `Sashimi`; its weights are random, and the same in RhythmDiff's order.
        device: "cpu" or "cuda".
    """
    network, _, form = name.partition(", ")
    if network not in ("U-Net", "SaShiMi", RHYTHMDIFF):
        raise ValueError(f"no network {name}: take U-Net, SaShiMi or {RHYTHMDIFF}")
    if network == "U-Net":
        denoiser: Denoiser = load_denoiser(weights)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            backbone = Sashimi(**sashimi)
            # At the start of training the last layer is zero, and the gradient too.
            torch.nn.init.normal_(next(reversed(list(backbone.final_conv.parameters()))), std=0.1)
        backbone.keep_kernels = form != "kernels per call"
        backbone = in_rhythmdiff_order(backbone) if network == RHYTHMDIFF else backbone
        segment = sashimi.get("L", 1024)
        length = min(1000, segment)
        denoiser = EpsilonDenoiser(backbone, DiscreteSchedule(), record_length=length, segment_length=segment)
    denoiser = denoiser.eval().requires_grad_(False).to(device)
    return accelerate_denoiser(denoiser, "bf16" if "bf16" in form else "float32", "compiled" in form)


def on(device: str | None) -> str:
    """Returns what a row says of its device: nothing of the processor."""
    return "" if device in (None, "cpu") else f", {device}"


def _network_call(denoiser: Denoiser, batch: int, backward: bool, length: int) -> Callable[[], object]:
    """Returns what calls a denoiser on noised ECGs, the same ones each time."""
    device = next(denoiser.parameters()).device
    x = torch.randn(batch, len(denoiser.leads), length, generator=torch.Generator().manual_seed(0)).to(device)
    t = torch.tensor(0.5, device=device)

    def call() -> dict[str, Any]:
        if backward:
            leaf = x.detach().requires_grad_()
            torch.autograd.grad(denoiser(leaf, t).square().sum(), leaf)
        else:
            with torch.no_grad():
                denoiser(x, t)
        return {"parameters": sum(weight.numel() for weight in denoiser.backbone.parameters())}

    if getattr(denoiser.backbone, "compiled", False):
        call()  # CUDA graphs are recorded at the second call
    return call
