"""Attacks on arrays and tables: NPY, NPZ, MAT, Parquet, CSV."""

import io
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from tests.attack.attempt import ODD_VALUES, AttackClass, Attempt, Make, insane, pick
from tests.attack.damage import damage_tree
from tests.attack.files import RATE, ecg, either, random_bytes, random_text, reading, written

Generator = np.random.Generator


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(shape: Sequence[int], dtype: str = "<f8", data: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": tuple(shape)})
    return buffer.getvalue() + data


def zip_of(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def pickle_of(path: str = "../outside/ran") -> bytes:
    """A pickle that makes a folder when it is loaded."""
    return b"cos\nmkdir\n(V" + path.encode() + b"\ntR."


def bomb(generator: Generator, folder: Path) -> Attempt:
    """A gigabyte of zeros in a megabyte."""
    path = folder / "rec.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("signal.npy", "w", force_zip64=True) as file:
            file.write(npy((12, 12_000_000)))
            for _ in range(12 * 12):
                file.write(bytes(8_000_000))
        archive.writestr("sampling_rate.npy", npy((), "<f8", struct.pack("<d", 250.0)))
    return Attempt(lambda: read(path), ["rec.npz"], what="a bomb", refused=True)


def arrays_known() -> list[Make]:
    lie = zip_of(signal=npy((12, 400_000_000), "<f8", bytes(1000)))
    big = {"signal": np.full((12, 750), 1e30), "sampling_rate": 250.0, "leads": np.array(LEADS)}
    mixed = ecg().copy()
    mixed[:, ::100] = 9.96921e36
    names = {"sampling_rate": 250.0, "leads": np.array(LEADS)}
    told = lambda recording: insane(recording) or ("" if recording.notes else "no note")  # noqa: E731
    return [
        reading(lie, "rec.npz", "4.8 * 10^9 values", refused=True),
        bomb,
        reading(npy((12, 10**12)), "rec.npy", "10^13 values", refused=True, options={"sampling_rate": 250}),
        reading(npy((12, -1)), "rec.npy", "a negative shape", refused=True, options={"sampling_rate": 250}),
        reading(npy((1,), "|O", pickle_of()), "rec.npy", "code", refused=True, options={"sampling_rate": 250}),
        reading(zip_of(signal=npy((1,), "|O", pickle_of())), "rec.npz", "code", refused=True),
        reading(npz(**big), "rec.npz", "1e30 mV throughout", told),
        reading(npz(signal=mixed, **names), "rec.npz", "fill values", told),
        reading(npz(signal=ecg(), **{**names, "sampling_rate": np.inf}), "rec.npz", "rate inf", refused=True),
        reading(npz(signal=ecg(), **{**names, "sampling_rate": -250.0}), "rec.npz", "rate -250", refused=True),
        reading(npz(signal=ecg(), **{**names, "sampling_rate": "fast"}), "rec.npz", "rate in words", refused=True),
        reading(npz(signal=ecg() + 1j, **names), "rec.npz", "complex", refused=True),
        reading(npz(signal=np.zeros((0, 0)), **names), "rec.npz", "empty", refused=True),
        reading(npz(signal=np.full((12, 750), np.nan), **names), "rec.npz", "all missing"),
        reading(npz(signal=np.full((12, 750), np.inf), **names), "rec.npz", "all infinite"),
        reading(npz(signal=ecg(), sampling_rate=250.0, leads=np.array(["I"] * 12)), "rec.npz", "one name"),
        reading(npz(signal=ecg(), sampling_rate=250.0, leads=np.arange(12)), "rec.npz", "names that are numbers"),
        reading(npz(signal=ecg(), **names, start_time=np.array("9999-99-99")), "rec.npz", "no date"),
        reading(npz(signal=ecg(), **names, unit=np.array("furlong")), "rec.npz", "no unit", refused=True),
        reading(npz(signal=ecg(), **names, age=np.array(1e300), sex=np.array("x" * 1000)), "rec.npz", "odd patient"),
        reading(b"PAR1" + bytes(100) + b"PAR1", "rec.parquet", "no table", refused=True),
    ]


@cache
def mat() -> bytes:
    import scipy.io

    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"val": ecg(), "fs": 250.0, "leads": list(LEADS)}, do_compression=True)
    return buffer.getvalue()


def parquet_meta(generator: Generator, folder: Path) -> Attempt:
    """What a Parquet file says of the recording, damaged."""
    table = pd.DataFrame(ecg().T, columns=list(LEADS))
    said, what = damage_tree(
        {"sampling_rate": 250.0, "start_time": "2020-01-01", "age": 60, "sex": "female", "notes": ["a"]}, generator
    )
    table.attrs = {"einthoven": said}
    path = folder / "rec.parquet"
    try:
        table.to_parquet(path, index=False)
    except (TypeError, ValueError, OverflowError):
        path.write_bytes(b"PAR1")
    return Attempt(lambda: read(path), ["rec.parquet"], insane, what)


def npz_content(generator: Generator, folder: Path) -> Attempt:
    """Sound archives that hold what they should not."""
    content: dict[str, Any] = {"signal": ecg(), "sampling_rate": 250.0, "leads": np.array(LEADS), "unit": "mV"}
    key = pick(generator, [*content, "start_time", "age", "sex", "notes", "fs"])
    odd = pick(generator, [v for v in ODD_VALUES if not isinstance(v, dict) and v != [None]])
    if key == "signal" and generator.random() < 0.7:
        kind = pick(generator, ("<f2", "<i1", "<u8", "|b1", "<c8", "<U3", "<M8[s]"))
        shape = pick(generator, ((12, 750), (750, 12), (750,), (1, 1), (0, 5), (12, 1), (2, 3, 4), (100, 100)))
        odd = np.resize(ecg(), shape)
        odd = odd.astype(kind) if kind != "<M8[s]" else np.zeros(shape, dtype=kind)
    try:
        array = np.asarray(odd)
        content[key] = array if array.dtype != object else np.array(str(odd))
    except (ValueError, OverflowError):
        content[key] = np.array(str(odd)[:50])
    path = folder / "rec.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.savez(path, **content)
    return Attempt(lambda: read(path), ["rec.npz"], insane, f"{key}: {str(odd)[:40]!r}")


@cache
def csv() -> bytes:
    return written(".csv")[".csv"]


@cache
def plain_table(separator: str) -> bytes:
    rows = [separator.join(["time", *LEADS])]
    rows += [separator.join([f"{k / RATE:.3f}", *(f"{v:.3f}" for v in column)]) for k, column in enumerate(ecg().T)]
    return "\n".join(rows).encode()


def tables_known() -> list[Make]:
    text = plain_table(",").decode()
    head = text.split("\n")[0]
    fill = text.replace("\n0.400,", "\n0.400,1e30,1e30,1e30,9.9e36,", 1)
    wide = ",".join(["1"] * 2_000_000).encode()
    return [
        reading(head.encode(), "rec.csv", "a header alone", refused=True),
        reading(b"\n" * 100_000, "rec.csv", "empty lines", refused=True),
        reading(wide, "rec.csv", "two million columns"),
        reading(("1," * 100 + "\n").encode() * 3, "rec.csv", "ends of lines", options={"sampling_rate": 100}),
        reading(text.replace("0.004", "1e300").encode(), "rec.csv", "a time of 1e300"),
        reading(text.replace("0.004", "-5").encode(), "rec.csv", "a time that goes back"),
        reading(text.replace("\n0.4", "\n1e9", 1).encode(), "rec.csv", "a pause of years"),
        reading(fill.encode(), "rec.csv", "1e30 in a row"),
        reading((head + '\n"' + "x" * 1_000_000).encode(), "rec.csv", "an open quote", refused=True),
        reading(text.encode("utf-16"), "rec.csv", "UTF-16"),
        reading(text.replace("aVR", "I").encode(), "rec.csv", "a lead twice"),
        reading(text.replace(",", "\0").encode(), "rec.csv", "NUL for commas"),
    ]


def warm() -> None:
    """Imports what readers import when they first read such a file."""
    with tempfile.TemporaryDirectory() as folder:
        for content, name in ((mat(), "rec.mat"), (plain_table(";"), "rec.txt")):
            (Path(folder) / name).write_bytes(content)
            read(Path(folder) / name)


def classes() -> list[AttackClass]:
    """The attacks on arrays and tables."""
    text, raw = random_text, random_bytes
    return [
        AttackClass(
            "tables",
            either(
                text(csv, "rec.csv"),
                text(partial(plain_table, "\t"), "rec.tsv"),
                text(partial(plain_table, ";"), "rec.txt"),
            ),
            tables_known(),
        ),
        AttackClass(
            "arrays",
            either(
                npz_content,
                parquet_meta,
                raw(lambda: npz(signal=ecg(), sampling_rate=250.0, leads=np.array(LEADS)), "rec.npz"),
                raw(lambda: written(".parquet")[".parquet"], "rec.parquet"),
                raw(mat, "rec.mat"),
                raw(lambda: npy((12, 750), "<f8", ecg().tobytes()), "rec.npy", sampling_rate=250.0, leads=None),
            ),
            arrays_known(),
            1.5,
        ),
    ]
