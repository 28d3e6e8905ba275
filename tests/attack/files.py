"""Attacks on the readers of files: whole files of every format, damaged or made to deceive."""

import io
import json
import struct
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, lead_rows
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.ecg.writing import write
from preprocessing.cohorts.simulator import simulate_ecg
from tests.attack.attempt import AttackClass, Attempt, Make, differs, insane, pick
from tests.attack.damage import damage_bytes, damage_text, damage_tree
from tests.builders import binary, xml_files

RATE = 250
Generator = np.random.Generator


@cache
def ecg() -> np.ndarray:
    """An ECG of twelve leads and three seconds, in whole microvolts, shape (12, 750)."""
    return np.round(simulate_ecg(1, RATE, 3.0, seed=3)[0].astype(np.float64), 3)


@cache
def written(suffix: str) -> dict[str, bytes]:
    """Returns the files, by suffix, that `write` makes of the ECG."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write(Recording(ecg(), float(RATE), LEADS, "rec"), Path(folder) / f"rec{suffix}")
        return {file.suffix: file.read_bytes() for file in Path(folder).iterdir()}


def reading(content: bytes, name: str, what: str, wrong: Callable[[Any], str] = insane, **more: Any) -> Make:
    """Returns what makes a case of reading one file."""

    def make(generator: Generator, folder: Path) -> Attempt:
        path = folder / name
        path.write_bytes(content)
        options = more.pop("options", {})
        return Attempt(lambda: read(path, **options), [name, Path(name).stem, "/case/"], wrong, what, **more)

    return make


def random_bytes(content: Callable[[], bytes], name: str, wrong: Callable[[Any], str] = insane, **options: Any) -> Make:
    """Returns what draws cases of a damaged file."""

    def make(generator: Generator, folder: Path) -> Attempt:
        damaged, what = damage_bytes(content(), generator)
        return reading(damaged, name, what, wrong, options=options)(generator, folder)

    return make


def random_text(content: Callable[[], bytes], name: str, wrong: Callable[[Any], str] = insane, **options: Any) -> Make:
    """Returns what draws cases of a file of text, damaged as text or as bytes."""

    def make(generator: Generator, folder: Path) -> Attempt:
        if generator.random() < 0.3:
            damaged, what = damage_bytes(content(), generator)
        else:
            text, what = damage_text(content().decode("latin-1"), generator)
            damaged = text.encode("latin-1", errors="replace")
        return reading(damaged, name, what, wrong, options=options)(generator, folder)

    return make


def either(*makes: Make) -> Make:
    """Returns what draws from several kinds."""
    return lambda generator, folder: pick(generator, makes)(generator, folder)


# WFDB


def wfdb(
    header: bytes | None, data: bytes | None, what: str, wrong: Callable[[Any], str] = insane, **more: Any
) -> Make:
    """Returns what makes a case of a WFDB record."""

    def make(generator: Generator, folder: Path) -> Attempt:
        (folder / "rec.hea").write_bytes(written(".hea")[".hea"] if header is None else header)
        if data is None or data:
            (folder / "rec.dat").write_bytes(written(".hea")[".dat"] if data is None else data)
        return Attempt(lambda: read(folder / "rec"), ["rec", "/case/"], wrong, what, **more)

    return make


def wfdb_header(generator: Generator, folder: Path) -> Attempt:
    text, what = damage_text(written(".hea")[".hea"].decode(), generator)
    return wfdb(text.encode(errors="replace"), None, what)(generator, folder)


def wfdb_data(generator: Generator, folder: Path) -> Attempt:
    """Damage to samples must be told: the header has their checksums and length."""
    data, what = damage_bytes(written(".hea")[".dat"], generator)
    return wfdb(None, data, what, differs(ecg()))(generator, folder)


def _header(old: str, new: str, count: int = -1) -> bytes:
    text = written(".hea")[".hea"].decode()
    assert old in text, (old, text)
    return text.replace(old, new, count).encode()


def wfdb_known() -> list[Make]:
    """Headers that lie."""
    first = written(".hea")[".hea"].decode().split("\n")[0]
    name, count, rate, length = first.split()[:4]
    line = written(".hea")[".hea"].decode().split("\n")[1]

    def first_line(*words: object) -> bytes:
        return _header(first, " ".join(map(str, words)))

    refused = {
        "rate -100": first_line(name, count, -100, length),
        "rate inf": first_line(name, count, "inf", length),
        "rate nan": first_line(name, count, "nan", length),
        "10^9 signals": first_line(name, 10**9, rate, length),
        "10^9 segments": first_line(f"{name}/1000000000", count, rate, length),
        "file outside": _header("rec.dat", "../outside/rec.dat"),
        "absolute file": _header("rec.dat", "/etc/passwd"),
        "no such format": _header("rec.dat 16", "rec.dat 999") if "rec.dat 16" in line else first_line(),
        "only a name": first_line(name),
    }
    sane = {
        "rate 1e30": first_line(name, count, "1e30", length),
        "rate 1e-30": first_line(name, count, "1e-30", length),
        "length 10^18": first_line(name, count, rate, 10**18),
        "10^9 samples a frame": _header("rec.dat 16", "rec.dat 16x1000000000", 1),
        "skew 10^15": _header("rec.dat 16", "rec.dat 16:1000000000000000", 1),
        "offset 10^18": _header("rec.dat 16", "rec.dat 16+1000000000000000000"),
        "baseline 10^30": _header("(0)", f"({10**30})"),
        "numbers of 5000 digits": first_line(name, count, rate, "9" * 5000),
    }
    gap = f"{name}/3 {count} {rate} {10**15}\nrec_0 0\n~ {10**15}\nrec_1 750\n".encode()
    own = f"{name}/1 {count} {rate} 750\n{name} 750\n".encode()
    known = [wfdb(header, None, what, refused=True) for what, header in refused.items()]
    known += [wfdb(header, None, what) for what, header in sane.items()]
    known += [wfdb(gap, None, "a gap of 10^15", refused=True), wfdb(own, None, "its own segment", refused=True)]
    known += [wfdb(None, b"", "no data file", refused=True), wfdb_link, wfdb_gain_zero]
    return known


def wfdb_link(generator: Generator, folder: Path) -> Attempt:
    """A signal file that is a link to one in another folder."""
    (folder.parent / "outside" / "rec.dat").write_bytes(written(".hea")[".dat"])
    (folder / "rec.hea").write_bytes(written(".hea")[".hea"])
    (folder / "rec.dat").symlink_to("../outside/rec.dat")
    return Attempt(lambda: read(folder / "rec"), ["rec"], what="a link out of the folder", refused=True)


def wfdb_gain_zero(generator: Generator, folder: Path) -> Attempt:
    """Amplitudes that nobody stated are noted."""
    text = written(".hea")[".hea"].decode().split("\n")
    words = text[1].split()
    words[2] = "0/mV"
    header = "\n".join([text[0], " ".join(words), *text[2:]]).encode()
    told = lambda recording: insane(recording) or ("" if recording.notes else "no note")  # noqa: E731
    return wfdb(header, None, "gain 0", told)(generator, folder)


# Recorders


@cache
def built(name: str) -> bytes:
    """Returns a file of a recorder's format."""
    whole = ecg()
    eight = whole[lead_rows(INDEPENDENT_LEADS)]
    makers: dict[str, Callable[[], bytes]] = {
        "scp": lambda: binary.scp(eight, INDEPENDENT_LEADS, RATE),
        "scp_huffman": lambda: binary.scp(eight, INDEPENDENT_LEADS, RATE, huffman=True),
        "mfer": lambda: binary.mfer(eight, INDEPENDENT_LEADS, interval_us=4000),
        "ishne": lambda: binary.ishne(whole, LEADS, RATE),
        "kardia": lambda: binary.kardia(whole[:6], LEADS[:6], RATE),
        "muse": lambda: xml_files.muse(eight, INDEPENDENT_LEADS, RATE),
        "cardiosoft": lambda: xml_files.cardiosoft(whole, LEADS, RATE),
        "aecg": lambda: xml_files.aecg(whole, LEADS, RATE, sets=4),
        "philips": lambda: xml_files.philips(whole, RATE),
        "philips_xli": lambda: xml_files.philips(whole, RATE, compressed=True),
        "mortara": lambda: xml_files.mortara(whole, LEADS, RATE),
    }
    return makers[name]()


def json_tree(generator: Generator, folder: Path) -> Attempt:
    tree, what = damage_tree(json.loads(built("kardia")), generator)
    content = json.dumps(tree).encode()
    return reading(content, "rec.json", what)(generator, folder)


def xml_known() -> list[Make]:
    laughs = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10 if k else "lol"}">' for k in range(10))
    known = []
    for name in ("muse", "cardiosoft", "aecg", "philips", "mortara"):
        text = built(name).decode("latin-1")
        start = text.index("<", text.index("?>"))
        if name == "muse":
            start = text.index("<RestingECG>")
        root = text[start + 1 :].split(">")[0].split()[0]
        for what, kind in (
            ("entities", laughs),
            ("an entity that is a file", '<!ENTITY e9 SYSTEM "../outside/secret">'),
        ):
            prolog = f'<?xml version="1.0"?><!DOCTYPE {root} [{kind}]>'
            rest = text[start:].replace("><", ">&e9;<", 1)
            known.append(reading((prolog + rest).encode("latin-1"), "rec.xml", f"{name}: {what}", refused=True))
        deep = f"<{root}>" + "<a>" * 100_000
        known.append(reading(deep.encode(), "rec.xml", f"{name}: 100,000 deep", refused=True))
    return known


def devices_known() -> list[Make]:
    scp = built("scp_huffman")
    at = scp.index(struct.pack("<II", 1, 750))
    ishne = bytearray(built("ishne"))
    kardia = json.loads(built("kardia"))
    kardia["data"]["raw"]["frequency"] = 1e308
    huge = struct.pack("<I", 2**32 - 1)
    mfer = built("mfer")
    length = mfer.index(b"\x04\x04") + 2
    return [
        reading(scp[: at + 4] + huge + scp[at + 8 :], "rec.scp", "4 * 10^9 samples", refused=True),
        reading(bytes(ishne[:14]) + b"\xff\xff\xff\x7f" + bytes(ishne[18:]), "rec.ecg", "2^31 samples"),
        reading(json.dumps(kardia).encode(), "rec.json", "rate 1e308"),
        reading(mfer[:length] + huge + mfer[length + 4 :], "rec.mwf", "a block of 2^32 samples", refused=True),
        reading(b"[" * 100_000, "rec.json", "100,000 deep", refused=True),
        reading(b'{"data":' * 50_000, "rec.json", "50,000 deep", refused=True),
    ]


# EDF and DICOM


def edf_header(generator: Generator, folder: Path) -> Attempt:
    """A field of the header, in its own width, that is another."""
    content = bytearray(written(".edf")[".edf"])
    n = int(content[252:256])
    from tests.attack.attempt import ODD_WORDS

    widths = [(0, 8), (184, 8), (236, 8), (244, 8), (252, 4)]
    place = 256
    for width in (16, 80, 8, 8, 8, 8, 8, 80, 8, 32):
        widths += [(place + k * width, width) for k in range(n)]
        place += n * width
    at, width = pick(generator, widths)
    odd = pick(generator, ("-1", "0", "1", "99999999", "1e30", "nan", "inf", "-32768", "32767", "uV", "V", *ODD_WORDS))
    content[at : at + width] = odd.encode(errors="replace").ljust(width)[:width]
    return reading(bytes(content), "rec.edf", f"{odd[:20]!r} at {at}")(generator, folder)


def dicom_field(generator: Generator, folder: Path) -> Attempt:
    """A field of the data set that is another."""
    import pydicom

    from tests.attack.attempt import ODD_VALUES

    data = pydicom.dcmread(io.BytesIO(written(".dcm")[".dcm"]))
    group = data.WaveformSequence[0]
    channel = group.ChannelDefinitionSequence[int(generator.integers(len(group.ChannelDefinitionSequence)))]
    node = pick(generator, (data, group, group, channel, channel))
    element = pick(generator, [element for element in node])
    path, odd = folder / "rec.dcm", pick(generator, ODD_VALUES)
    what = f"{element.keyword}: {str(odd)[:30]!r}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if generator.random() < 0.3:
                del node[element.tag]
                what = f"no {element.keyword}"
            else:
                element._value = str(odd) if generator.random() < 0.5 else odd
            data.save_as(path)
        except Exception:
            path.write_bytes(damage_bytes(written(".dcm")[".dcm"], generator)[0])
    return Attempt(lambda: read(path), ["rec.dcm"], insane, what)


def warm() -> None:
    """Imports in this process what readers import when they first read a file."""
    import tempfile

    contents = [(built(name), "rec.bin") for name in ("scp_huffman", "muse", "aecg", "philips", "mortara", "kardia")]
    contents += [(built("mfer"), "rec.mwf")]
    contents += [(written(suffix)[suffix], f"rec{suffix}") for suffix in (".edf", ".dcm", ".csv", ".npz", ".parquet")]
    with tempfile.TemporaryDirectory() as folder:
        for content, name in contents:
            path = Path(folder) / name
            path.write_bytes(content)
            repr(read(path))


def classes() -> list[AttackClass]:
    """The attacks on readers."""
    text, raw = random_text, random_bytes
    xml = [
        text(partial(built, name), "rec.xml") for name in ("cardiosoft", "aecg", "philips", "philips_xli", "mortara")
    ]
    return [
        AttackClass("WFDB headers", wfdb_header, wfdb_known(), 1.5),
        AttackClass("WFDB data", wfdb_data),
        AttackClass(
            "EDF",
            either(
                edf_header,
                raw(lambda: written(".edf")[".edf"], "rec.edf"),
                raw(lambda: written(".bdf")[".bdf"], "rec.bdf"),
            ),
        ),
        AttackClass("DICOM", either(dicom_field, raw(lambda: written(".dcm")[".dcm"], "rec.dcm"))),
        AttackClass("XML", either(*xml, text(partial(built, "muse"), "rec.xml")), xml_known(), 2.0),
        AttackClass(
            "SCP-ECG", either(raw(partial(built, "scp"), "rec.scp"), raw(partial(built, "scp_huffman"), "rec.scp"))
        ),
        AttackClass("MFER", raw(partial(built, "mfer"), "rec.mwf")),
        AttackClass("ISHNE and Kardia", either(raw(partial(built, "ishne"), "rec.ecg"), json_tree), devices_known()),
    ]
