"""The 71 SCP-ECG statements of PTB-XL, in one fixed order.

The order is that of PTB-XL 1.0.3's `scp_statements.csv` (Wagner et al., Scientific Data 7, 154, 2020): diagnostic
statements first, then form, then rhythm. A record's label is the multi-hot vector of all its statements, whatever their
likelihood. Column k of every label array in this project is `STATEMENTS[k]`.
"""

import difflib
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIAGNOSTIC: dict[str, str] = {
    "NDT": "non-diagnostic abnormalities of the T wave",
    "NST_": "non-specific changes of ST",
    "DIG": "effect of digitalis",
    "LNGQT": "long QT interval",
    "NORM": "normal ECG",
    "IMI": "inferior myocardial infarction",
    "ASMI": "anteroseptal myocardial infarction",
    "LVH": "left ventricular hypertrophy",
    "LAFB": "left anterior fascicular block",
    "ISC_": "ischaemia, non-specific",
    "IRBBB": "incomplete right bundle branch block",
    "1AVB": "first-degree AV block",
    "IVCD": "non-specific intraventricular conduction disturbance",
    "ISCAL": "ischaemia in anterolateral leads",
    "CRBBB": "complete right bundle branch block",
    "CLBBB": "complete left bundle branch block",
    "ILMI": "inferolateral myocardial infarction",
    "LAO/LAE": "left atrial overload or enlargement",
    "AMI": "anterior myocardial infarction",
    "ALMI": "anterolateral myocardial infarction",
    "ISCIN": "ischaemia in inferior leads",
    "INJAS": "subendocardial injury in anteroseptal leads",
    "LMI": "lateral myocardial infarction",
    "ISCIL": "ischaemia in inferolateral leads",
    "LPFB": "left posterior fascicular block",
    "ISCAS": "ischaemia in anteroseptal leads",
    "INJAL": "subendocardial injury in anterolateral leads",
    "ISCLA": "ischaemia in lateral leads",
    "RVH": "right ventricular hypertrophy",
    "ANEUR": "ST-T changes compatible with a ventricular aneurysm",
    "RAO/RAE": "right atrial overload or enlargement",
    "EL": "electrolyte disturbance or drug",
    "WPW": "Wolff-Parkinson-White syndrome",
    "ILBBB": "incomplete left bundle branch block",
    "IPLMI": "inferoposterolateral myocardial infarction",
    "ISCAN": "ischaemia in anterior leads",
    "IPMI": "inferoposterior myocardial infarction",
    "SEHYP": "septal hypertrophy",
    "INJIN": "subendocardial injury in inferior leads",
    "INJLA": "subendocardial injury in lateral leads",
    "PMI": "posterior myocardial infarction",
    "3AVB": "third-degree AV block",
    "INJIL": "subendocardial injury in inferolateral leads",
    "2AVB": "second-degree AV block",
}
"""Diagnostic statements with their meaning; the first four describe the form of the ECG too."""
FORM: dict[str, str] = {
    "ABQRS": "abnormal QRS complex",
    "PVC": "ventricular premature complex",
    "STD_": "non-specific ST depression",
    "VCLVH": "voltage criteria of left ventricular hypertrophy",
    "QWAVE": "Q waves present",
    "LOWT": "T waves of low amplitude",
    "NT_": "non-specific changes of the T wave",
    "PAC": "atrial premature complex",
    "LPR": "prolonged PR interval",
    "INVT": "inverted T waves",
    "LVOLT": "low QRS voltage in frontal and horizontal leads",
    "HVOLT": "high QRS voltage",
    "TAB_": "abnormality of the T wave",
    "STE_": "non-specific ST elevation",
    "PRC(S)": "premature complexes",
}
"""Statements on the form of the ECG, with their meaning."""
RHYTHM: dict[str, str] = {
    "SR": "sinus rhythm",
    "AFIB": "atrial fibrillation",
    "STACH": "sinus tachycardia",
    "SARRH": "sinus arrhythmia",
    "SBRAD": "sinus bradycardia",
    "PACE": "artificial pacemaker, functioning normally",
    "SVARR": "supraventricular arrhythmia",
    "BIGU": "bigeminal pattern, supraventricular or ventricular",
    "AFLT": "atrial flutter",
    "SVTAC": "supraventricular tachycardia",
    "PSVT": "paroxysmal supraventricular tachycardia",
    "TRIGU": "trigeminal pattern, supraventricular or ventricular",
}
"""Statements on the rhythm, with their meaning."""

MEANINGS: dict[str, str] = DIAGNOSTIC | FORM | RHYTHM
"""What each statement means."""

STATEMENTS: tuple[str, ...] = tuple(MEANINGS)

_SINUS = ("SR", "SARRH", "STACH", "SBRAD")
_EXCLUSIVE = (
    ("SR", "STACH", "SBRAD"),
    ("SR", "SARRH"),
    *((sinus, other) for sinus in _SINUS for other in ("AFIB", "AFLT", "SVTAC", "PSVT")),
    *(("AFIB", other) for other in ("AFLT", "SVTAC", "PSVT")),
)
"""Rhythms of which a record of ten seconds has one: no record of PTB-XL's folds 1 to 8 here has two of them."""
_WITH_NORM = ("NORM", "NDT", "NST_", "LAFB", "LPFB", "IRBBB", "IVCD")
"""Diagnostic statements that records of these folds have beside NORM, a normal ECG; no other one occurs with it."""

LABEL_ORDER: tuple[str, ...] = tuple(sorted(STATEMENTS))
"""The statements in the order of RhythmDiff's labels, the columns of its `labels.npy`: alphabetical."""

STATEMENT_INDEX: dict[str, int] = {code: index for index, code in enumerate(STATEMENTS)}


def check_statements(codes: Iterable[str]) -> tuple[str, ...]:
    """Returns statements as a tuple, in the order given; ValueError, with near names, if one is unknown."""
    if isinstance(codes, bytes) or not isinstance(codes, Iterable):
        raise ValueError(f"labels is {codes!r}: give SCP statements, such as ['AFIB']")
    codes = (codes,) if isinstance(codes, str) else tuple(codes)
    for code in codes:
        if not isinstance(code, str) or code not in STATEMENT_INDEX:
            near = difflib.get_close_matches(str(code).upper(), STATEMENTS, n=4, cutoff=0.4)
            hint = f"near names: {', '.join(near)}" if near else f"known statements: {', '.join(STATEMENTS)}"
            raise ValueError(f"unknown statement {str(code)[:40]!r}; {hint}")
    return codes


def check_compatible(codes: Iterable[str]) -> tuple[str, ...]:
    """Returns statements as `check_statements` does, and refuses those that contradict each other.

    Raises:
        ValueError: If one is unknown, two rhythms exclude each other, or one is a disease beside NORM.
    """
    codes = check_statements(codes)
    for group in _EXCLUSIVE:
        both = [code for code in group if code in codes]
        if len(both) > 1:
            raise ValueError(f"{_named(both)} exclude each other: an ECG has one such rhythm; leave one out")
    diseases = [code for code in codes if code in DIAGNOSTIC and code not in _WITH_NORM]
    if "NORM" in codes and diseases:
        raise ValueError(f"{_named(['NORM', diseases[0]])} exclude each other: leave one out")
    return codes


def list_statements() -> str:
    """Lists the statements in groups, a line each, with their meaning."""
    lines = []
    for title, group in {"Rhythm": RHYTHM, "Form": FORM, "Diagnosis": DIAGNOSTIC}.items():
        lines += ["", title, *(f"  {code:<8} {meaning}" for code, meaning in group.items())]
    return "\n".join(lines[1:])


def _named(codes: Iterable[str]) -> str:
    return " and ".join(f"{code} ({MEANINGS[code]})" for code in codes)


def encode(codes: Iterable[str]) -> NDArray[np.float32]:
    """Encodes statements, in any order, as a multi-hot vector, shape (71,), float32; ValueError if one is unknown."""
    label = np.zeros(len(STATEMENTS), dtype=np.float32)
    label[[STATEMENT_INDEX[code] for code in check_statements(codes)]] = 1.0
    return label


def decode(label: ArrayLike) -> tuple[str, ...]:
    """Returns the statements, in the fixed order, of a multi-hot vector, shape (71,), whose entries above 0.5 count."""
    values = np.asarray(label)
    if values.shape != (len(STATEMENTS),):
        raise ValueError(f"a label has shape ({len(STATEMENTS)},), one entry per statement; got {values.shape}")
    return tuple(code for code, value in zip(STATEMENTS, values, strict=True) if value > 0.5)
