"""Attacks on files of weights: safetensors of ours, and published pickles."""

import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffusion_prior.checkpoint import build_denoiser, load_denoiser, save_denoiser
from noise_quant.model.checkpoint import build_model, load_scalogram_model, save_model
from tests.attack.attempt import AttackClass, Attempt, Make, pick
from tests.attack.damage import damage_bytes, damage_tree

Generator = np.random.Generator
BACKBONE = {
    "name": "unet1d",
    "channels": [8, 16],
    "kernel_sizes": [3, 3],
    "attention": [False, False],
    "n_blocks": 1,
}


@cache
def prior() -> bytes:
    """A tiny prior."""
    return _saved(lambda path: save_denoiser(path, build_denoiser({"backbone": BACKBONE}), {"steps": 1}))


@cache
def scalogram_model() -> bytes:
    """A small autoencoder of scalograms."""
    return _saved(lambda path: save_model(path, build_model({"kind": "autoencoder"}), {"steps": 1}))


def _saved(save: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "w.safetensors")
        return (Path(folder) / "w.safetensors").read_bytes()


def load_either(path: Path, is_prior: bool) -> Any:
    """Loads weights, and says whether they are finite."""
    model: Any = load_denoiser(path) if is_prior else load_scalogram_model(path)
    return all(bool(w.isfinite().all()) for w in model.state_dict().values() if w.is_floating_point())


def case(content: bytes, what: str, is_prior: bool = True, name: str = "w.safetensors", **more: Any) -> Make:
    def make(generator: Generator, folder: Path) -> Attempt:
        path = folder / name
        path.write_bytes(content)
        wrong = lambda finite: "" if finite else "weights that are not finite"  # noqa: E731
        return Attempt(lambda: load_either(path, is_prior), [name], wrong, what, **more)

    return make


def split_file(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns header and data of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_file(header: Any, data: bytes) -> bytes:
    """Makes a safetensors file."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def spec_damage(content: bytes, generator: Generator) -> tuple[bytes, str]:
    """The JSON that says how to build the network, damaged."""
    header, data = split_file(content)
    key = pick(generator, ("spec", "spec", "spec", "facts"))
    tree, what = damage_tree(json.loads(header["__metadata__"][key]), generator)
    header["__metadata__"][key] = json.dumps(tree)
    return join_file(header, data), f"{key}: {what}"


def header_damage(content: bytes, generator: Generator) -> tuple[bytes, str]:
    """The table of tensors, damaged."""
    header, data = split_file(content)
    tree, what = damage_tree(header, generator)
    return join_file(tree, data), what


def ours(generator: Generator, folder: Path) -> Attempt:
    """A file of ours, damaged in one of its parts."""
    is_prior = generator.random() < 0.6
    content = prior() if is_prior else scalogram_model()
    damage = pick(generator, (spec_damage, spec_damage, header_damage, damage_bytes))
    content, what = damage(content, generator)
    return case(content, f"{'prior' if is_prior else 'scalogram model'}: {what}", is_prior)(generator, folder)


def ours_known() -> list[Make]:
    known = []
    header, data = split_file(prior())
    first = next(name for name in header if name != "__metadata__")
    poisoned = bytearray(data)
    poisoned[0:4] = np.array([np.nan], dtype="<f4").tobytes()
    known.append(case(join_file(header, bytes(poisoned)), "NaN", refused=True))
    poisoned[0:4] = np.array([np.inf], dtype="<f4").tobytes()
    known.append(case(join_file(header, bytes(poisoned)), "infinite", refused=True))
    huge = {**header, first: {**header[first], "shape": [10**12]}}
    known.append(case(join_file(huge, data), "a shape of 10^12", refused=True))
    known.append(case((10**15).to_bytes(8, "little") + b"{}", "a header of 10^15 bytes", refused=True))
    spec = json.loads(header["__metadata__"]["spec"])
    for what, backbone in {
        "10^9 channels": {**BACKBONE, "channels": [10**9, 10**9]},
        "10^6 channels": {**BACKBONE, "channels": [10**6, 10**6]},
        "10^7 blocks": {**BACKBONE, "n_blocks": 10**7},
        "a kernel of 10^12": {**BACKBONE, "kernel_sizes": [10**12, 3]},
        "negative channels": {**BACKBONE, "channels": [-8, 16]},
        "no channels": {**BACKBONE, "channels": []},
        "another network": {**BACKBONE, "name": "os.system"},
        "10^6 levels": {**BACKBONE, "channels": [8] * 10**6, "kernel_sizes": [3] * 10**6, "attention": [False] * 10**6},
    }.items():
        meta = {"spec": json.dumps({**spec, "backbone": backbone}), "facts": "{}"}
        known.append(case(join_file({**header, "__metadata__": meta}, data), what, refused=True))
    for what, text in {"spec [": "[", "spec list": "[1]", "spec deep": "[" * 100_000, "spec 5": "5"}.items():
        known.append(case(join_file({**header, "__metadata__": {"spec": text}}, data), what, refused=True))
    for key, value in {"sampling_rate": 1e300, "sigma_data": "x", "leads": ["I"] * 8, "covariates": 5}.items():
        meta = {"spec": json.dumps({**spec, key: value}), "facts": "{}"}
        known.append(case(join_file({**header, "__metadata__": meta}, data), f"{key}: {value}", refused=True))
    return known


class _Runs:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.mkdir, ("../outside/ran",)


def saved(content: Any) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@cache
def published() -> bytes:
    """A pickle of weights that is no known network."""
    return saved({"model_state_dict": {"init_conv.0.conv.weight_v": torch.ones(4, 9, 1), "x": torch.arange(3)}})


def pickles(generator: Generator, folder: Path) -> Attempt:
    """A published file, damaged."""
    content, what = damage_bytes(published(), generator)
    name = pick(generator, ("w.pkl", "w.pth", "w.pt", "w.bin", "w.ckpt"))
    return case(content, what, generator.random() < 0.5, name)(generator, folder)


def _bomb() -> bytes:
    weight = torch.zeros(1, dtype=torch.float16).expand(2_000_000_000)
    return saved({"model_state_dict": {"init_conv.0.conv.weight_v": weight}})


PICKLES: dict[str, Callable[[], bytes]] = {
    "code": lambda: pickle.dumps(_Runs()),
    "code in torch's zip": lambda: _zipped(pickle.dumps(_Runs())),
    "code among weights": lambda: saved({"model_state_dict": {"a": torch.ones(2)}, "b": _Runs()}),
    "a tensor of 2 * 10^9 in 1 kB": _bomb,
    "a list": lambda: saved([torch.ones(2)]),
    "no weights": lambda: saved({"model_state_dict": {}}),
    "NaN": lambda: saved({"model_state_dict": {"unet.a": torch.full((2,), torch.nan)}}),
    "complex": lambda: saved({"model_state_dict": {"unet.a": torch.ones(2, dtype=torch.complex64)}}),
    "sparse": lambda: saved({"model_state_dict": {"unet.a": torch.eye(3).to_sparse()}}),
    "quantised": lambda: saved({"unet.a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}),
    "empty": lambda: b"",
    "text": lambda: b"<html>not found</html>",
    "many numbers": lambda: pickle.dumps(list(range(100_000))),
    "a zip bomb": lambda: _zipped(bytes(1_200_000_000)),
}


def pickle_case(what: str, is_prior: bool) -> Make:
    """Returns what makes a case of a pickle."""
    return lambda generator, folder: case(PICKLES[what](), what, is_prior, "w.pth", refused=True)(generator, folder)


def _zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", b"little")
    return buffer.getvalue()


def warm() -> None:
    """Builds and imports what cases need."""
    prior(), scalogram_model(), published()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        path.write_bytes(prior())
        load_either(path, True)


def classes() -> list[AttackClass]:
    """The attacks on weights."""
    return [
        AttackClass("safetensors", ours, ours_known(), 1.5),
        AttackClass("published pickles", pickles, [pickle_case(what, what != "NaN") for what in PICKLES]),
    ]
