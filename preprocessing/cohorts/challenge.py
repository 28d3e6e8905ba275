"""WFDB folders of the PhysioNet/CinC Challenges 2020 and 2021, as training data: CPSC 2018, PTBDB, CODE-15, ...

Perez Alday et al., Physiol. Meas. 41, 124003 (2020); Reyna et al., Computing in Cardiology 48 (2021). Age, sex and
diagnoses (`Dx`, SNOMED CT codes, or the abbreviations of CPSC 2018) stand in the comments of the headers. A record is
filtered whole and cut into pieces from its start; what is left at its end is left out. Piece k of record number n has
the key `KEY_STEP n + k`, and the split is drawn by n, so that the pieces of a record stay together. A piece with a lead
that is flat or saturated, or that exceeds a plausible amplitude after filtering, is left out.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from einthoven.ecg import filters
from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import STATEMENT_INDEX
from preprocessing.cohorts.cinc2011 import PLAUSIBLE_MV, SATURATED_S, check_filtered, check_raw
from preprocessing.cohorts.cohort import DURATION_S, Cohort
from preprocessing.store.preparation import Inputs, Processed, Reader, RecordFile, read_file, wfdb_file

KEY_STEP = 1000
"""Keys of one record; a record has at most so many pieces."""

SCALES: dict[str, float] = {"code15": 0.65}
"""Factors on the amplitudes of archives whose unit is not known. CODE-15's median amplitudes are 1.67 times PTB-XL's
(those of CPSC 2018, which are in mV, 1.15 times), and some of its peaks exceed 10 mV."""

STATEMENTS_OF_CODE: dict[str, str] = {
    "164889003": "AFIB",
    "164890007": "AFLT",
    "270492004": "1AVB",
    "195042002": "2AVB",
    "27885002": "3AVB",
    "713427006": "CRBBB",
    "59118001": "CRBBB",
    "713426002": "IRBBB",
    "733534002": "CLBBB",
    "164909002": "CLBBB",
    "251120003": "ILBBB",
    "445118002": "LAFB",
    "445211001": "LPFB",
    "698252002": "IVCD",
    "74390002": "WPW",
    "284470004": "PAC",
    "63593006": "PAC",
    "427172004": "PVC",
    "17338001": "PVC",
    "164884008": "PVC",
    "11157007": "BIGU",
    "251180001": "TRIGU",
    "426783006": "SR",
    "426177001": "SBRAD",
    "427084000": "STACH",
    "427393009": "SARRH",
    "426761007": "SVTAC",
    "67198005": "PSVT",
    "10370003": "PACE",
    "164873001": "LVH",
    "89792004": "RVH",
    "429622005": "STD_",
    "164931005": "STE_",
    "164934002": "TAB_",
    "59931005": "INVT",
    "164917005": "QWAVE",
    "111975006": "LNGQT",
    "164947007": "LPR",
    "251146004": "LVOLT",
    "AF": "AFIB",
    "I-AVB": "1AVB",
    "LBBB": "CLBBB",
    "RBBB": "CRBBB",
    "Normal": "SR",
    "PAC": "PAC",
    "PVC": "PVC",
    "STD": "STD_",
    "STE": "STE_",
}
"""SCP statement of a SNOMED CT code, or of an abbreviation of CPSC 2018, only where both name the same finding.

A bundle branch block that is not said to be incomplete counts as complete, and atrial and ventricular premature beats
of either name are the same, as the Challenge of 2021 scores them. CPSC's "Normal" became sinus rhythm in the
Challenge; that nothing else was to be seen (NORM) is not certain. Left out: infarctions and ischaemia without a place
(164865005, 164867002, 164861001), which the SCP statements have by place only; bradycardia of any origin (426627000);
changes of ST and T that are not told apart (428750005, 164930006); strain of an atrium or a ventricle (446358003).
"""


@dataclass(frozen=True)
class Challenge(Cohort):
    """The records of one archive.

    Attributes:
        archive: Its name, such as "cpsc2018".
        duration: Length of a piece in s.
        scale: Factor on the amplitudes; None: that of `SCALES`, or 1.
        validation_share: Share of the records that are for validation ("val"), drawn by a hash of their numbers; the
            others are for training.
        is_test: All records are for testing ("test"): none is for training or validation.
    """

    standard: ClassVar[Mapping[str, Any]] = {
        "name": "",
        "duration": DURATION_S,
        "validation_share": 0.0,
        "is_test": False,
    }
    archive: str = "cpsc2018"
    duration: float = DURATION_S
    scale: float | None = None
    validation_share: float = 0.0
    is_test: bool = False

    def __post_init__(self) -> None:
        """Checks the values, raising ValueError."""
        if self.sampling_rate < 50 or self.duration <= 0 or not 0 <= self.validation_share <= 1 or not self.factor > 0:
            raise ValueError(
                "need a sampling_rate of at least 50 Hz, a duration above 0 s, a scale above 0 and a validation_share "
                f"from 0 to 1, got {self}"
            )
        if self.is_test and self.validation_share:
            raise ValueError("is_test makes all records test records: leave validation_share 0")

    @property
    def factor(self) -> float:
        """Factor on the amplitudes."""
        return SCALES.get(self.archive, 1.0) if self.scale is None else self.scale

    @property
    def n_samples(self) -> int:
        """Number of samples of a piece in the store."""
        return round(self.duration * self.sampling_rate)

    def inputs(self, raw_path: str | Path) -> Inputs:
        """Lists everything that the store is made from, pieces in the order of their keys.

        Args:
            raw_path: Folder of the WFDB records of one archive; they may lie in folders below it. ValueError if there
                are none of a piece's length, or their names do not end in numbers that tell them apart.
        """
        root = Path(raw_path)
        paths = sorted(root.rglob("*.hea"))
        headers = number_records(paths)
        if len(headers) < max(len(paths), 1):
            raise ValueError(
                f"{root} holds no WFDB headers (*.hea), or two of one number in a folder: give the folder of an "
                "archive, dataset.raw_path"
            )
        files: list[RecordFile] = []
        rows = []
        n_short = 0
        for number, path in sorted(headers.items()):
            header = read_header(path)
            n_pieces = 1 if header.problem else min(int(header.seconds / self.duration + 1e-9), KEY_STEP)
            n_short += n_pieces == 0
            split = "val" if _hashed(self.archive, number) < self.validation_share else "train"
            split = "test" if self.is_test else split
            facts = {"record": path.stem, "age": header.age, "sex": header.sex, "statements": header.statements}
            for piece in range(n_pieces):
                key = KEY_STEP * number + piece
                file = wfdb_file(path.with_suffix(""), key, header.sampling_rate, header.problem)
                assert file is not None
                files.append(file)
                rows.append({"ecg_id": key, "piece": piece, **facts, "split": split, "source": self.archive})
        if not files:
            raise ValueError(f"no record in {root} is {self.duration:g} s long: lower the duration")
        notes = {"records": len(headers), "records shorter than a piece": n_short}
        settings = {"name": self.archive, "sampling_rate": float(self.sampling_rate), "duration": float(self.duration)}
        settings |= {"scale": float(self.factor), "validation_share": float(self.validation_share)}
        settings |= {"is_test": True} if self.is_test else {}
        checks = (
            f"pieces of {self.duration:g} s, amplitudes times {self.factor:g}",
            f"left out: a lead flat, at an extreme for {SATURATED_S:g} s, or beyond {PLAUSIBLE_MV:g} mV",
        )
        return Inputs(files, pd.DataFrame(rows), settings, {}, filters.STEPS + checks, notes)

    def reader(self, inputs: Inputs) -> Reader:
        """Returns what reads and processes a piece."""
        return self.read

    def read(self, file: RecordFile) -> Processed:
        """Returns a piece in mV, shape (12, L), filtered and at the store's rate, and the empty column `flat_leads`.

        Raises:
            ValueError: If the record is broken, or a lead is flat, saturated or implausible.
        """
        whole, rate = read_file(file).ordered(LEADS), file.source_rate
        piece = file.ecg_id % KEY_STEP
        first, last = (round((piece + k) * self.duration * rate) for k in (0, 1))
        check_raw(whole[:, first:last], rate)
        clean = self.factor * filters.clean_signal(whole, rate, self.sampling_rate)
        clean = clean[:, piece * self.n_samples : (piece + 1) * self.n_samples]
        check_filtered(clean)
        return Processed(clean, {"flat_leads": ""})


@dataclass(frozen=True)
class Header:
    """What the header of a record says.

    Attributes:
        sampling_rate: Sampling rate in Hz.
        seconds: Length in s.
        age: Age in years; NaN where not known.
        sex: 0 male, 1 female, as in PTB-XL; NaN where not known.
        statements: SCP statements that its diagnoses certainly mean.
        problem: Why it cannot be read; empty mostly.
    """

    sampling_rate: float
    seconds: float
    age: float = float("nan")
    sex: float = float("nan")
    statements: tuple[str, ...] = ()
    problem: str = ""


def read_header(path: Path) -> Header:
    """Reads the first line and the comments of a WFDB header.

    Args:
        path: The header.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    signals = [line for line in lines if line.strip() and not line.startswith("#")]
    try:
        rate, n_samples = (float(re.split("[/(]", word)[0]) for word in signals[0].split()[2:4])
        if not rate > 0:
            raise ValueError("no rate")
    except (IndexError, ValueError):
        return Header(0.0, 0.0, problem=f"the header {path.name} states no rate or no length")
    comments = dict(line.lstrip("# ").split(":", 1) for line in lines if line.startswith("#") and ":" in line)
    facts = {name.strip().lower(): value.strip() for name, value in comments.items()}
    return Header(
        rate,
        n_samples / rate,
        age=_age(facts.get("age", "")),
        sex={"m": 0.0, "f": 1.0}.get(facts.get("sex", "")[:1].lower(), float("nan")),
        statements=statements_of(facts.get("dx", "").split(",")),
    )


def statements_of(codes: Iterable[str]) -> tuple[str, ...]:
    """Returns the SCP statements that diagnoses certainly mean, each once, in the fixed order.

    Args:
        codes: SNOMED CT codes, or abbreviations of CPSC 2018; others are left out.
    """
    found = {STATEMENTS_OF_CODE[code.strip()] for code in codes if code.strip() in STATEMENTS_OF_CODE}
    return tuple(sorted(found, key=STATEMENT_INDEX.__getitem__))


def _age(text: str) -> float:
    try:
        age = float(text)
    except ValueError:
        return float("nan")
    return age if 0 <= age <= 120 else float("nan")


def number_records(paths: Sequence[Path]) -> dict[int, Path]:
    """Returns headers by the number of their record, which is that in its name.

    Where records of several folders have the same numbers, as those of different archives do, the place of the folder
    among them goes before their digits.

    Raises:
        ValueError: If a name does not end in a number.
    """
    headers = {_number(path): path for path in paths}
    if len(headers) == len(paths):
        return headers
    folders = {folder: place for place, folder in enumerate(sorted({path.parent for path in paths}))}
    step = 10 ** len(str(max(headers)))
    return {step * folders[path.parent] + _number(path): path for path in paths}


def _number(path: Path) -> int:
    match = re.fullmatch(r"\D*(\d{1,12})", path.stem)
    if match is None:
        raise ValueError(f"the name of {path} does not end in a number, by which its store would know it")
    return int(match[1])


def _hashed(name: str, number: int) -> float:
    """Returns a number from 0 to 1 that depends on the record alone, whatever other records there are."""
    digest = hashlib.blake2b(f"{name}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
