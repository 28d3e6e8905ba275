"""Attacks on masks, stores, run folders, reconstructions of runs, folders of recordings, and sources of stores."""

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from einthoven.ecg.folders import find_recordings
from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from preprocessing.store.store import Store, write_store
from tests.attack import arrays, files
from tests.attack.attempt import ODD_VALUES, AttackClass, Attempt, Make, pick
from tests.attack.damage import damage_bytes, damage_text, damage_tree

Generator = np.random.Generator
N = 4
"""Records of a store."""


@cache
def store_files() -> dict[str, bytes]:
    """The files of a small store."""
    ecg = np.repeat(files.ecg()[None], N, axis=0).astype(np.float32)
    table = pd.DataFrame({"ecg_id": np.arange(N) + 100, "split": "test", "statements": [["NORM"]] * N})
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder) / "store", ecg, table, 250.0, LEADS, {"inputs": {"settings": {"a": 1}}})
        return {file.name: file.read_bytes() for file in (Path(folder) / "store").iterdir()}


def put(folder: Path, content: dict[str, bytes]) -> Path:
    """Writes files into a folder, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def read_store(path: Path) -> tuple[Store, np.ndarray]:
    """Opens a store and reads all of it."""
    store = Store.open(path)
    store.labels()
    return store, store.read(np.arange(len(store)))


def other_store(result: tuple[Store, np.ndarray]) -> str:
    """Says what is wrong with what was read of a damaged store."""
    store, x = result
    if x.shape != (N, 12, 750) or not np.abs(x - files.ecg()).max() < 0.01:
        return f"other signals, {x.shape}, up to {np.abs(x).max():g} mV"
    return "" if (store.leads, store.sampling_rate) == (LEADS, 250.0) else f"{store.leads} at {store.sampling_rate} Hz"


def store_case(content: dict[str, bytes], what: str, **more: Any) -> Make:
    def make(generator: Generator, folder: Path) -> Attempt:
        path = put(folder / "store", content)
        return Attempt(lambda: read_store(path), ["store"], what=what, **more)

    return make


def store_damage(generator: Generator, folder: Path) -> Attempt:
    """A file of a store, damaged; signals must be what they were, or refused."""
    content = dict(store_files())
    name = pick(generator, ("manifest.json", "manifest.json", "signals.npy", "table.parquet"))
    if name == "manifest.json":
        tree, what = damage_tree(json.loads(content[name]), generator)
        content[name] = json.dumps(tree).encode()
        # Other leads, rate or scale of the right kind cannot be told from true ones.
        return store_case(content, f"{name}: {what}")(generator, folder)
    content[name], what = damage_bytes(content[name], generator)
    wrong = other_store if name == "signals.npy" else lambda result: ""
    return store_case(content, f"{name}: {what}", wrong=wrong)(generator, folder)


def stores_known() -> list[Make]:
    known = []
    changes: dict[str, Any] = {
        "units_per_mv": [-1, 0, "1000", None, [], True, 1e300],
        "sampling_rate": [0, -100, "fast", 1e300, None, True],
        "leads": [["I"] * 12, [], "I", 12, None, [["I"]], ["X"] * 12],
        "n_records": [-1, 10**12, "4", None],
        "n_samples": [0, 10**12, None, 749],
        "format": [2, None, [], {"a": 1}],
        "signals_sha256": ["0" * 64, 5, [], "x"],
    }
    manifest = json.loads(store_files()["manifest.json"])
    for key, values in changes.items():
        for value in values:
            content = {**store_files(), "manifest.json": json.dumps({**manifest, key: value}).encode()}
            known.append(store_case(content, f"{key}: {value}", refused=True))
    flipped = bytearray(store_files()["signals.npy"])
    flipped[5000] ^= 1
    known.append(store_case({**store_files(), "signals.npy": bytes(flipped)}, "a bit of the signals", refused=True))
    objects = arrays.npy((1,), "|O", arrays.pickle_of())
    known.append(store_case({**store_files(), "signals.npy": objects}, "code in the signals", refused=True))
    for content in (b"", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b"NaN"):
        known.append(store_case({**store_files(), "manifest.json": content}, f"manifest {content[:6]!r}", refused=True))
    return known


def mask_damage(generator: Generator, folder: Path) -> Attempt:
    """A mask of any of the three kinds."""
    from reconstruction.measurement.mask_file import MaskFile

    mask = np.ones((12, 750), dtype=bool)
    keys = np.arange(N)
    suffix = pick(generator, (".npy", ".npz", ".csv"))
    path = folder / f"mask{suffix}"
    rows = "\n".join([",".join(["ecg_id", *LEADS]), *(",".join(["7", *"1" * 12]) for _ in range(20))])
    content = {
        ".npy": arrays.npy((12, 750), "|b1", mask.tobytes()),
        ".npz": arrays.npz(observed=np.repeat(mask[None], N, axis=0), ecg_id=keys),
        ".csv": rows.encode(),
    }[suffix]
    if suffix == ".csv":
        text, what = damage_text(content.decode(), generator)
        content = text.encode(errors="replace")
    elif generator.random() < 0.4:
        odds = [np.zeros((0, 12, 0)), np.full((12, 5), 2), np.full((12, 5), np.nan), np.array("x"), keys]
        odd = pick(generator, odds)
        content, what = arrays.npz(observed=odd, ecg_id=pick(generator, [keys, "a", [0.5], odd])), "odd arrays"
        path = folder / "mask.npz"
    else:
        content, what = damage_bytes(content, generator)
    path.write_bytes(content)

    def call() -> np.ndarray:
        read = MaskFile.read(path)
        return read.observed([7] if read.ecg_ids is None else list(read.ecg_ids)[:2], read.masks.shape[-1])

    return Attempt(call, ["mask"], what=f"{path.name}: {what}")


def masks_known() -> list[Make]:
    from reconstruction.measurement.mask_file import MaskFile

    def case(content: bytes, name: str) -> Make:
        def make(generator: Generator, folder: Path) -> Attempt:
            (folder / name).write_bytes(content)
            return Attempt(lambda: MaskFile.read(folder / name), ["mask"], what=name, refused=True)

        return make

    whole = arrays.npz(observed=np.ones((12, 1000), dtype=bool))
    return [
        case(whole[: len(whole) // 2], "mask.npz"),
        case(arrays.zip_of(observed=arrays.npy((12, 10**9), "|b1", bytes(100))), "mask.npz"),
        case(arrays.npy((12, 10**12), "|b1"), "mask.npy"),
        case(arrays.npy((1,), "|O", arrays.pickle_of()), "mask.npy"),
        case(b"", "mask.csv"),
        case(b"I,I\n1,1", "mask.csv"),
        case(b"I\nx", "mask.csv"),
        case(b"ecg_id,I\nx,1", "mask.csv"),
    ]


@cache
def run_files() -> dict[str, bytes]:
    """The files of a run of reconstruction.inpaint."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "run"
        config = {"algo": {"name": "a"}, "dataset": {"store": "x", "sampling_rate": 100.0}, "results_path": None}
        run = RunFolder.create(folder, config, seed=0, device="cpu")
        run.log(step=1, loss=2.0)
        run.log(step=2, loss=1.0)
        truth = np.repeat(files.ecg()[None, :, :100], N, axis=0).astype(np.float32)
        arrays = {"samples": np.repeat(truth[:, None], 3, axis=1), "mean": truth, "lower": truth, "upper": truth}
        for name, array in {**arrays, "truth": truth, "observed": truth > 0}.items():
            np.save(folder / f"{name}.npy", array)
        pd.DataFrame({"ecg_id": range(N), "seconds": 1.0, "network_calls": 1, "problem": ""}).to_parquet(
            folder / "records.parquet"
        )
        return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def use_run(path: Path) -> Any:
    """Does with a run folder what later stages do."""
    from evaluation.inpainting.runs import Reconstructions

    run = RunFolder.open(path)
    run.provenance()
    run.metrics()
    found = Reconstructions.open(path)
    return found.estimate()


def take_up(path: Path) -> Any:
    """Takes a run up again, as the same command does."""
    config = {"algo": {"name": "a"}, "dataset": {"store": "x", "sampling_rate": 100.0}, "results_path": None}
    return RunFolder.create(path, config, seed=0, device="cpu").truncate_metrics(1)


def run_damage(generator: Generator, folder: Path) -> Attempt:
    """A file of a run folder, damaged."""
    content = dict(run_files())
    name = pick(generator, sorted(content))
    if name in ("config.yaml", "provenance.json") and generator.random() < 0.7:
        load, dump = (yaml.safe_load, yaml.safe_dump) if name == "config.yaml" else (json.loads, json.dumps)
        tree, what = damage_tree(load(content[name]), generator)
        content[name] = dump(tree).encode(errors="replace")
    elif name.endswith((".yaml", ".json", ".jsonl")):
        text, what = damage_text(content[name].decode(), generator)
        content[name] = text.encode(errors="replace")
    else:
        content[name], what = damage_bytes(content[name], generator)
    path = put(folder / "run", content)
    use = pick(generator, (use_run, take_up))
    return Attempt(lambda: use(path), ["/run"], what=f"{use.__name__}, {name}: {what}")


def runs_known() -> list[Make]:
    code = b"a: !!python/object/apply:os.mkdir ['../outside/ran']\n"

    def case(name: str, data: bytes, use: Any = use_run) -> Make:
        def make(generator: Generator, folder: Path) -> Attempt:
            path = put(folder / "run", {**run_files(), name: data})
            return Attempt(lambda: use(path), ["/run"], what=f"{name}: {data[:20]!r}", refused=True)

        return make

    known = [case("config.yaml", code), case("config.yaml", b"[1, 2]"), case("config.yaml", b"a: [" * 5000)]
    known += [case("config.yaml", b"a: &a [*a]\n" * 2), case("config.yaml", b"\xff\xfe"), case("config.yaml", b"")]
    known += [case("provenance.json", data) for data in (b"", b"[]", b"{", b"[" * 100_000)]
    known += [case("provenance.json", b"{}", take_up), case("metrics.jsonl", b"{}\n[]\nx\n")]
    return known


def cohort_damage(generator: Generator, folder: Path) -> Attempt:
    """PTB-XL's tables, damaged, or one of its records, which is skipped."""
    from preprocessing.cohorts.ptbxl import Ptbxl

    root = put(folder / "ptbxl", ptbxl_files())
    name = pick(generator, ("ptbxl_database.csv", "scp_statements.csv"))
    text, what = damage_text((root / name).read_text(), generator)
    (root / name).write_text(text, errors="replace")
    return Attempt(lambda: Ptbxl().inputs(root), ["ptbxl"], what=f"{name}: {what}")


@cache
def ptbxl_files() -> dict[str, bytes]:
    """PTB-XL's tables, of a few records."""
    from einthoven.ecg.statements import STATEMENTS
    from preprocessing.cohorts.ptbxl import COLUMNS

    rows = pd.DataFrame({column: [""] * N for column in COLUMNS})
    rows["ecg_id"], rows["strat_fold"], rows["patient_id"] = range(1, N + 1), range(1, N + 1), 5.0
    rows["scp_codes"], rows["age"], rows["sex"] = "{'NORM': 100.0, 'SR': 0.0}", 50.0, 1
    for column in ("filename_lr", "filename_hr"):
        rows[column] = [f"records100/00000/{k:05d}_lr" for k in rows["ecg_id"]]
    codes = pd.DataFrame({"description": "x"}, index=list(STATEMENTS))
    return {"ptbxl_database.csv": rows.to_csv(index=False).encode(), "scp_statements.csv": codes.to_csv().encode()}


def recordings_in_a_folder(generator: Generator, folder: Path) -> Attempt:
    """A folder with loops of links, pipes, odd names and files that cannot be read: its recordings are found."""
    place = folder / "records"
    put(place, {f"rec{suffix}": data for suffix, data in files.written(".hea").items()})
    names = ("a\nb.csv", "x" * 200 + ".csv", "\u202e.npz", " .hea", "-rf.hea", "%s.dat", "üñ.xml", ".hidden.csv", "no")
    for name in names:
        if generator.random() < 0.5:
            content = pick(generator, [b"", b"<a", arrays.csv(), files.built("muse"), generator.bytes(300)])
            (place / name).write_bytes(content)
    (place / "loop").symlink_to(place)
    (place / "dangling.csv").symlink_to("nowhere")
    if generator.random() < 0.5:
        os.mkfifo(place / "pipe.csv")
    if generator.random() < 0.5:
        (place / os.fsdecode(b"\xff\xfe.csv")).write_bytes(arrays.csv())
    if generator.random() < 0.5:
        (place / "dir.hea").mkdir()

    def wrong(found: list[Path]) -> str:
        return "" if place / "rec.hea" in found else f"rec.hea is not among {found}"

    return Attempt(lambda: find_recordings(place), ["records"], wrong, "odd names and links")


def folders_known() -> list[Make]:
    def odd(value: Any) -> Make:
        def make(generator: Generator, folder: Path) -> Attempt:
            return Attempt(lambda: find_recordings(value), ["folder"], what=f"{value!r}"[:40], refused=True)

        return make

    return [odd(value) for value in ("", " ", "\0", "nowhere", None, 5, "x" * 5000, b"", "/dev/null")]


def array_argument(generator: Generator, folder: Path) -> Attempt:
    """A store that is written from odd arrays and tables."""
    shape = pick(generator, ((N, 12, 50), (N, 12), (N, 3, 50), (0, 12, 50), (N, 12, 0)))
    x = np.zeros(shape, dtype=pick(generator, ("<f4", "<f8", "<i8", "<c8", "<U1")))
    if x.size and x.dtype.kind == "f":
        x.flat[0] = pick(generator, (0, np.nan, np.inf, 1e30, -1e5))
    odd = pick(generator, ODD_VALUES)
    table = pd.DataFrame({"ecg_id": np.arange(N), "split": "test"})
    key, rate = pick(generator, ("ecg_id", "split", "statements", "rate", "age")), 100.0
    if key == "rate":
        rate = odd
    else:
        table[key] = [odd] * N
    names = ["shape", "rate", "ecg_id", "split", "statement", "signal", "age", "sampling", "lead", "column", "dtype"]
    what = f"{shape}, {key}: {odd!r}"[:80]
    return Attempt(lambda: write_store(folder / "new", x, table, rate, LEADS), names, what=what)


def warm() -> None:
    """Builds and imports what cases need."""
    with tempfile.TemporaryDirectory() as folder:
        read_store(put(Path(folder) / "store", store_files()))
        use_run(put(Path(folder) / "run", run_files()))
        shutil.rmtree(Path(folder) / "run")
    ptbxl_files()


def classes() -> list[AttackClass]:
    """The attacks on folders."""
    return [
        AttackClass("masks", mask_damage, masks_known()),
        AttackClass("stores", store_damage, stores_known(), 1.5),
        AttackClass("store writing", array_argument, (), 0.5),
        AttackClass("run folders", run_damage, runs_known(), 1.5),
        AttackClass("PTB-XL's tables", cohort_damage, (), 0.7),
        AttackClass("folders of recordings", recordings_in_a_folder, folders_known(), 0.3),
    ]
