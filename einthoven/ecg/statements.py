"""The 71 SCP-ECG statements of PTB-XL, in one fixed order.

The order is that of PTB-XL 1.0.3's `scp_statements.csv` (Wagner et al., Scientific Data 7, 154, 2020): diagnostic
statements first, then form, then rhythm. A record's label is the multi-hot vector of all its statements, whatever their
likelihood. Column k of every label array in this project is `STATEMENTS[k]`.
"""

import difflib
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

STATEMENTS: tuple[str, ...] = (
    # diagnostic
    *("NDT", "NST_", "DIG", "LNGQT", "NORM", "IMI", "ASMI", "LVH", "LAFB", "ISC_", "IRBBB", "1AVB", "IVCD"),
    *("ISCAL", "CRBBB", "CLBBB", "ILMI", "LAO/LAE", "AMI", "ALMI", "ISCIN", "INJAS", "LMI", "ISCIL", "LPFB"),
    *("ISCAS", "INJAL", "ISCLA", "RVH", "ANEUR", "RAO/RAE", "EL", "WPW", "ILBBB", "IPLMI", "ISCAN", "IPMI"),
    *("SEHYP", "INJIN", "INJLA", "PMI", "3AVB", "INJIL", "2AVB"),
    # form
    *("ABQRS", "PVC", "STD_", "VCLVH", "QWAVE", "LOWT", "NT_", "PAC", "LPR", "INVT", "LVOLT", "HVOLT", "TAB_"),
    *("STE_", "PRC(S)"),
    # rhythm
    *("SR", "AFIB", "STACH", "SARRH", "SBRAD", "PACE", "SVARR", "BIGU", "AFLT", "SVTAC", "PSVT", "TRIGU"),
)

LABEL_ORDER: tuple[str, ...] = tuple(sorted(STATEMENTS))
"""The statements in the order of RhythmDiff's labels, the columns of its `labels.npy`: alphabetical."""

STATEMENT_INDEX: dict[str, int] = {code: index for index, code in enumerate(STATEMENTS)}


def check_statements(codes: Iterable[str]) -> tuple[str, ...]:
    """Returns statements as a tuple, in the order given; ValueError, with near names, if one is unknown."""
    codes = (codes,) if isinstance(codes, str) else tuple(codes)
    for code in codes:
        if code not in STATEMENT_INDEX:
            near = difflib.get_close_matches(str(code).upper(), STATEMENTS, n=4, cutoff=0.4)
            hint = f"near names: {', '.join(near)}" if near else f"known statements: {', '.join(STATEMENTS)}"
            raise ValueError(f"unknown statement {code!r}; {hint}")
    return codes


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
