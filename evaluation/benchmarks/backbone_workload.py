"""The prior's networks beside RhythmDiff's published one, which `evaluation.benchmark` measures: time and memory.

One call is one `Denoiser` call on a batch of ECGs of 10 s, as the samplers make it: of our U-Net (eight leads, 1000
samples, and its conditioning channels), of our SaShiMi and of the published order of computation (`published_order`;
nine leads, padded to 1024). Weights are frozen, so `backward` goes to the noised signal only; that is what MGPS and its
kin need, and how the published sampler runs its network too.

Other programs disturb a machine for seconds or minutes. So the calls of all networks take turns within one process,
and each ratio is of two medians over the same minutes. Peak memory is measured apart, each case alone in a process of
its own; on a GPU it is what torch's allocator held at the most.
"""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from diffusion_prior.checkpoint import load_denoiser
from diffusion_prior.model.acceleration import accelerate_denoiser
from diffusion_prior.model.denoiser import Denoiser
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.schedule import DiscreteSchedule
from einthoven.run.memory import Jobs, measure_alone
from evaluation.benchmarks.published_order import PublishedOrder
from evaluation.benchmarks.reconstruction_workload import restore

BACKBONE, MGPS = "backbone", "MGPS"
"""Names of the part of the benchmark, and of the sampler that is run as a whole."""

PUBLISHED_ORDER = "published order"
FORWARD_CALLS, BACKWARD_CALLS = 538, 290
"""Network calls of the published MGPS for ten samples of an ECG, and how many of them go backward too (counted)."""

_SHARE_OF_FREE = 0.9
"""Share of the free memory that a case may be expected to take."""


@dataclass(frozen=True)
class Network:
    """A form of a network.

    Attributes:
        backbone: "unet", "sashimi" or "published".
        keep_kernels: Whether SaShiMi keeps its kernels from call to call.
        precision: As `accelerate_denoiser` takes it.
        compiled: As `accelerate_denoiser` takes it.
    """

    backbone: str
    keep_kernels: bool = True
    precision: str = "float32"
    compiled: bool = False


NETWORKS: dict[str, Network] = {
    "U-Net": Network("unet"),
    "U-Net, bf16": Network("unet", precision="bf16"),
    "U-Net, compiled": Network("unet", compiled=True),
    "U-Net, compiled bf16": Network("unet", precision="bf16", compiled=True),
    "SaShiMi": Network("sashimi"),
    "SaShiMi, kernels per call": Network("sashimi", keep_kernels=False),
    "SaShiMi, bf16": Network("sashimi", precision="bf16"),
    "SaShiMi, compiled": Network("sashimi", compiled=True),
    "SaShiMi, compiled bf16": Network("sashimi", precision="bf16", compiled=True),
    PUBLISHED_ORDER: Network("published"),
}
"""The networks by the names that tables show."""


@dataclass(frozen=True)
class Setting:
    """What is measured, and on what.

    Attributes:
        sashimi: Arguments of `Sashimi`; its weights are random, and the published order has the same ones.
        weights: Weights of the U-Net; None: the bundled ones.
        length: Samples of an ECG.
        n_threads: Threads of torch.
        device: "cpu" or "cuda".
    """

    sashimi: Mapping[str, Any]
    weights: str | None
    length: int
    n_threads: int
    device: str = "cpu"


def backbone_jobs(
    networks: Mapping[str, Sequence[str]],
    batches: Sequence[int],
    n_repeats: Sequence[int],
    mgps: Mapping[str, Any],
    **setting: Any,  # noqa: ANN401
) -> Jobs:
    """Lists the work on networks.

    Args:
        networks: Names of `NETWORKS`, for each type of device; a device that is not there is passed over.
        batches: Batch sizes, ascending.
        n_repeats: How often each network is timed at each of them; the median counts.
        mgps: Arguments of `time_mgps` but for the setting, with `precisions`, one after the other.
        **setting: Arguments of `Setting` but for the device.

    Returns:
        The jobs, part `BACKBONE`.

    Raises:
        ValueError: If a network is unknown, or the batch sizes and their repeats do not fit.
    """
    unknown = sorted({name for names in networks.values() for name in names} - NETWORKS.keys())
    if unknown:
        raise ValueError(f"unknown benchmark.backbone.networks {', '.join(unknown)}: choose from {', '.join(NETWORKS)}")
    if len(batches) != len(n_repeats) or list(batches) != sorted(set(batches)):
        raise ValueError("benchmark.backbone needs ascending batches, and n_repeats for each of them")
    jobs: Jobs = {}
    for device in networks:
        if device == "cuda" and not torch.cuda.is_available():
            continue
        common = asdict(Setting(**setting, device=device))
        sizes = {"batches": list(batches), "n_repeats": list(n_repeats)}
        jobs[BACKBONE, device] = (compare_networks, {"networks": list(networks[device]), **sizes, "setting": common})
        once = {key: value for key, value in mgps.items() if key != "precisions"}
        for precision in mgps["precisions"]:
            case = f"{MGPS}, {precision}, {device}"
            jobs[BACKBONE, case] = (time_mgps, {**once, "precision": precision, "setting": common})
    return jobs


def compare_networks(
    networks: Sequence[str], batches: Sequence[int], n_repeats: Sequence[int], setting: Mapping[str, Any]
) -> dict[str, Any]:
    """Measures the memory of each case, then the time of all that fit.

    Args:
        networks: Names of `NETWORKS`.
        batches: Batch sizes, ascending.
        n_repeats: Timed calls of each network at each.
        setting: Arguments of `Setting`.

    Returns:
        `calls`: for each network, batch size and direction `network`, `device`, `batch`, `backward`, and
        `parameters`, `peak_memory_mb`, `seconds` (the median) and `laps`; or, where memory is not enough, `note`.
    """
    device = setting["device"]
    rows = [
        {"network": name, "device": device, "batch": batch, "backward": backward}
        for name in networks
        for backward in (False, True)
        for batch in batches
    ]
    if device == "cpu":
        rows = with_memory(rows, setting, measure_alone)
    return {"calls": with_times(rows, dict(zip(batches, n_repeats, strict=True)), Setting(**setting))}


def with_memory(
    rows: Sequence[dict[str, Any]], setting: Mapping[str, Any], alone: Callable[..., Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Measures the peak memory of each case alone, but for those that would not fit into what is free.

    What a case will need is told from the two smaller batches, as memory grows in proportion.

    Args:
        rows: Cases: `network`, `batch` and `backward`, batches ascending.
        setting: Arguments of `Setting`.
        alone: Runs a function with its arguments in a process of its own, and says its `peak_memory_mb`.

    Returns:
        The rows, with `peak_memory_mb` or a `note`.
    """
    measured: list[dict[str, Any]] = []
    known: dict[tuple[str, bool], dict[int, float]] = {}
    for row in tqdm(rows, desc="memory", unit="case"):
        name, batch, backward = row["network"], row["batch"], row["backward"]
        before = known.setdefault((name, backward), {})
        needed, free = _expected(before, batch), _free_memory_mb()
        if needed > _SHARE_OF_FREE * free:
            found: dict[str, Any] = {
                "note": f"not run: it would take about {needed / 1e3:.0f} GB, {free / 1e3:.0f} GB are free"
            }
        else:
            peak = alone(call_once, name=name, batch=batch, backward=backward, setting=setting)["peak_memory_mb"]
            before[batch], found = peak, {"peak_memory_mb": peak}
        measured.append({**row, **found})
    return measured


def call_once(name: str, batch: int, backward: bool, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Builds a network and calls it, for the memory that the process then held at the most.

    Args:
        name: A name of `NETWORKS`.
        batch: ECGs in the batch.
        backward: Whether the call goes backward too.
        setting: Arguments of `Setting`.

    Returns:
        Nothing.
    """
    how = Setting(**setting)
    torch.set_num_threads(how.n_threads)
    denoiser = build_network(name, how)
    call_network(denoiser, noised(denoiser, batch, how), backward)
    return {}


def with_times(rows: Sequence[dict[str, Any]], n_repeats: Mapping[int, int], setting: Setting) -> list[dict[str, Any]]:
    """Times the networks in turn, one call of each after the other, again and again.

    On a GPU the first, untimed calls show the memory: what they took at the most beyond what was held before, and the
    weights.

    Args:
        rows: Cases: `network`, `batch` and `backward`; those with a note are left alone.
        n_repeats: Timed calls of each network, by batch size.
        setting: What is measured.

    Returns:
        The rows: see `compare_networks`.
    """
    torch.set_num_threads(setting.n_threads)
    rows = [dict(row) for row in rows]
    denoisers = {row["network"]: build_network(row["network"], setting) for row in rows if "note" not in row}
    with tqdm(total=sum(n_repeats[row["batch"]] + 1 for row in rows), desc="time", unit="call") as bar:
        for batch, backward in dict.fromkeys((row["batch"], row["backward"]) for row in rows):
            turn = [row for row in rows if (row["batch"], row["backward"]) == (batch, backward)]
            inputs = {name: noised(denoiser, batch, setting) for name, denoiser in denoisers.items()}
            for lap, row in itertools.product(range(n_repeats[batch] + 1), turn):
                if "note" not in row:
                    denoiser, x = denoisers[row["network"]], inputs[row["network"]]
                    if lap:
                        row.setdefault("laps", []).append(call_network(denoiser, x, backward))
                    else:
                        row.update(_warm_up(denoiser, x, backward))
                bar.update()
    for row in rows:
        if "laps" in row:
            row["seconds"] = median(row["laps"])
            row["parameters"] = sum(weight.numel() for weight in denoisers[row["network"]].backbone.parameters())
    return rows


def time_mgps(n_samples: int, n_repeats: int, setting: Mapping[str, Any], precision: str = "float32") -> dict[str, Any]:
    """Times our MGPS, at its defaults, and the calls that the published one would take, before it and after it.

    The published sampler itself is not run, which would take most of an hour on a processor: its time is
    `FORWARD_CALLS` calls of the published order, of which `BACKWARD_CALLS` go backward too, each as long as one was
    here. What it computes besides is left out, in its favour.

    Args:
        n_samples: Samples of the ECG, which are the batch of every call.
        n_repeats: Timed calls of either direction before, and again after; the median counts.
        setting: Arguments of `Setting`.
        precision: Of our network, as `accelerate_denoiser` takes it; the published one's is float32.

    Returns:
        `seconds`, `network_calls` and `gradient_calls` of ours; `forward_seconds` and `backward_seconds` of one
        published call forward, and forward and backward; `published_seconds`.
    """
    how = Setting(**setting)
    torch.set_num_threads(how.n_threads)
    published = build_network(PUBLISHED_ORDER, how)
    x = noised(published, n_samples, how)
    laps: dict[bool, list[float]] = {False: [], True: []}

    def time_published() -> None:
        for _ in range(n_repeats):
            for backward, seconds in laps.items():
                seconds.append(call_network(published, x, backward))

    call_network(published, x, backward=True)
    with tqdm(total=3, desc=MGPS, unit="step") as bar:
        time_published()
        bar.update()
        ours = restore("mgps", n_samples, how.weights, how.device, precision)
        bar.update()
        time_published()
        bar.update()
    forward, both = median(laps[False]), median(laps[True])
    whole = (FORWARD_CALLS - BACKWARD_CALLS) * forward + BACKWARD_CALLS * both
    found = {"forward_seconds": forward, "backward_seconds": both, "published_seconds": whole}
    return {"device": how.device, "precision": precision, "n_samples": n_samples, **ours, **found}


def build_network(name: str, setting: Setting) -> Denoiser:
    """Builds a denoiser for the samplers: in evaluation mode, with frozen weights.

    Args:
        name: A name of `NETWORKS`.
        setting: What is measured.
    """
    network = NETWORKS[name]
    if network.backbone == "unet":
        denoiser = load_denoiser(setting.weights)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            sashimi = Sashimi(**setting.sashimi)
            # At the start of training the last layer is zero, and the gradient too.
            nn.init.normal_(next(reversed(list(sashimi.final_conv.parameters()))), std=0.1)
        sashimi.keep_kernels = network.keep_kernels
        backbone = PublishedOrder(sashimi) if network.backbone == "published" else sashimi
        segment = setting.sashimi.get("L", 1024)
        record = min(setting.length, segment)
        denoiser = EpsilonDenoiser(backbone, DiscreteSchedule(), record_length=record, segment_length=segment)
    denoiser = denoiser.eval().requires_grad_(False).to(setting.device)
    return accelerate_denoiser(denoiser, network.precision, network.compiled)


def noised(denoiser: Denoiser, batch: int, setting: Setting) -> Tensor:
    """Draws noised signals in mV, shape (B, C, L), on the device; the same at every call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, len(denoiser.leads), setting.length, generator=generator).to(setting.device)


def call_network(denoiser: Denoiser, x: Tensor, backward: bool) -> float:
    """Calls a denoiser once.

    Args:
        denoiser: The denoiser, with frozen weights.
        x: Noised signals in mV, shape (B, C, L).
        backward: Whether a gradient with respect to `x` is taken as well.

    Returns:
        Seconds.
    """
    t = torch.tensor(0.5, device=x.device)
    _wait(x)
    start = time.perf_counter()
    if backward:
        leaf = x.detach().requires_grad_()
        torch.autograd.grad(denoiser(leaf, t).square().sum(), leaf)
    else:
        with torch.no_grad():
            denoiser(x, t)
    _wait(x)
    return time.perf_counter() - start


def _wait(x: Tensor) -> None:
    """Waits for what a GPU has to do still."""
    if x.is_cuda:
        torch.cuda.synchronize()


def _warm_up(denoiser: Denoiser, x: Tensor, backward: bool) -> dict[str, Any]:
    """Calls a denoiser until it is warm; returns its memory on a GPU, or a note where that is not enough."""
    compiled = getattr(denoiser.backbone, "compiled", False)
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    try:
        # CUDA graphs are recorded at the second call.
        for _ in range(3 if compiled else 1):
            call_network(denoiser, x, backward)
    except torch.OutOfMemoryError:
        return {"note": "not run: the memory of the GPU is not enough"}
    if not x.is_cuda:
        return {}
    weights = sum(weight.nbytes for weight in denoiser.backbone.parameters())
    return {"peak_memory_mb": (torch.cuda.max_memory_allocated() - before + weights) / 1e6}


def _expected(known: Mapping[int, float], batch: int) -> float:
    """Returns the memory in MB that a batch will take, on the line through the two largest known; else 0."""
    if len(known) < 2:
        return 0.0
    (smaller, before), (larger, after) = sorted(known.items())[-2:]
    return after + (after - before) / (larger - smaller) * (batch - larger)


def _free_memory_mb() -> float:
    """Returns the memory that is free, in MB; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("MemAvailable"))
