"""The classes of a classifier of ECGs: the 71 statements, any number of them a record, or three rhythms, one each."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.statements import STATEMENTS, encode

STATEMENT_CLASSES = "statements"
RHYTHM_CLASSES = "rhythms"
KINDS = (STATEMENT_CLASSES, RHYTHM_CLASSES)

RHYTHMS: tuple[str, ...] = ("NSR", "BBB", "AF")
"""Normal sinus rhythm (NORM and SR), complete bundle branch block (CLBBB or CRBBB), atrial fibrillation (AFIB)."""


def check_kind(kind: str) -> str:
    """Returns the kind of classes, after checking that there is one of this name.

    Args:
        kind: One of `KINDS`.

    Raises:
        ValueError: If it is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"evaluate.classes is {' or '.join(KINDS)}, not {kind!r}")
    return kind


def class_names(kind: str) -> tuple[str, ...]:
    """Names the classes of a kind, in the order of labels and probabilities.

    Args:
        kind: One of `KINDS`.

    Raises:
        ValueError: If it is no such kind.
    """
    return STATEMENTS if check_kind(kind) == STATEMENT_CLASSES else RHYTHMS


def is_exclusive(kind: str) -> bool:
    """Tells whether each record has exactly one class of this kind."""
    return check_kind(kind) == RHYTHM_CLASSES


def class_labels(statements: Iterable[Iterable[str]], kind: str) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Labels records by their statements.

    Of `rhythms` a record counts that belongs to exactly one of the three, as in RhythmDiff's scores from lead I.

    Args:
        statements: Statements of each record, N of them.
        kind: One of `KINDS`.

    Returns:
        Which records have a label, shape (N,), and the labels of all, zeros and ones, shape (N, K).

    Raises:
        ValueError: If the kind or a statement is unknown.
    """
    if check_kind(kind) == STATEMENT_CLASSES:
        labels = np.array([encode(codes) for codes in statements], np.float32).reshape(-1, len(STATEMENTS))
        return np.ones(len(labels), dtype=bool), labels
    sets = [set(codes) for codes in statements]
    found = [[{"NORM", "SR"} <= codes, bool({"CLBBB", "CRBBB"} & codes), "AFIB" in codes] for codes in sets]
    labels = np.array(found, np.float32).reshape(-1, len(RHYTHMS))
    return labels.sum(axis=1) == 1, labels
