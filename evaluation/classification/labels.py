"""The classes of a classifier of ECGs: the 71 statements, any number of them a record, or three rhythms, one each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.statements import STATEMENTS, encode


@dataclass(frozen=True)
class Classes:
    """A set of classes.

    Attributes:
        names: Their names, in the order of labels and probabilities.
        is_exclusive: Whether a record has exactly one; a record without, or with several, then has no label.
        label: From a record's statements to zeros and ones, shape (K,).
    """

    names: tuple[str, ...]
    is_exclusive: bool
    label: Callable[[set[str]], ArrayLike]

    def labels(self, statements: Iterable[Iterable[str]]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Labels N records by the statements of each; an unknown statement is a ValueError.

        Returns:
            Which records have a label, shape (N,), and the labels of all, zeros and ones, shape (N, K).
        """
        found = [self.label(set(codes)) for codes in statements]
        labels = np.array(found, np.float32).reshape(-1, len(self.names))
        return (labels.sum(axis=1) == 1) | (not self.is_exclusive), labels


def _rhythms(codes: set[str]) -> list[bool]:
    """Normal sinus rhythm, complete bundle branch block, atrial fibrillation, as in RhythmDiff's scores from lead I."""
    return [{"NORM", "SR"} <= codes, bool({"CLBBB", "CRBBB"} & codes), "AFIB" in codes]


CLASSES = {"statements": Classes(STATEMENTS, False, encode), "rhythms": Classes(("NSR", "BBB", "AF"), True, _rhythms)}
"""By the names that `evaluate.classes` takes."""


def find_classes(kind: str) -> Classes:
    """Returns a set of classes by its name; a ValueError if there is none."""
    if kind not in CLASSES:
        raise ValueError(f"evaluate.classes is {' or '.join(CLASSES)}, not {kind!r}")
    return CLASSES[kind]
