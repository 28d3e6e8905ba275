"""PTB-XL's noise labels: free German text of its annotators, read as leads.

Wagner et al., PTB-XL, Scientific Data 7, 154 (2020). Four columns of the table say in which leads a kind of noise is:
", I-AVR,  ", "V1,2", "alles", "leicht". What cannot be read is reported, never guessed.
"""

import logging
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS

NOISE_TYPES: tuple[str, ...] = ("static", "baseline", "burst", "electrodes")
TYPE_COLUMNS: dict[str, str] = {
    "static": "static_noise",
    "baseline": "baseline_drift",
    "burst": "burst_noise",
    "electrodes": "electrodes_problems",
}
"""Column of PTB-XL's table that speaks of each type of noise."""
LABEL_COLUMNS: tuple[str, ...] = (*NOISE_TYPES, "clean", "unread")

_FIRST_PRECORDIAL = LEADS.index("V1")
_NAMES = {lead.upper(): index for index, lead in enumerate(LEADS) if index < _FIRST_PRECORDIAL}
_ALL = re.compile(r"ALL(E|ES|EN|ER)?")
_SEVERITY = re.compile(
    r"(LEICHT|MITTEL|MITTELSTARK|M(Ä|AE|A)SSIG|STARK|SCHWACH|GERING|MINIMAL)(E|ER|ES|EN)?|SEHR|ETWAS|NOISY|RECORDING"
)
_FILLER = re.compile(r"UND|U|IN|ABL|ABLEITUNG(EN)?")
_TO = re.compile(r"BIS|[-\u2010-\u2015]+")
_PARTS = re.compile(r"[A-ZÄÖÜ]+|\d+|[-\u2010-\u2015]+|[\s,;./+&?!:()]+|.", re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoiseLabel:
    """What a text says.

    Attributes:
        leads: Indices in `LEADS` of the leads named, ascending.
        unread: Parts of the text that could not be read.
    """

    leads: tuple[int, ...] = ()
    unread: tuple[str, ...] = ()


def parse_noise(text: object) -> NoiseLabel:
    """Reads a text of PTB-XL's noise columns; None, NaN and blank texts name no lead.

    Lists, with any separator or, between precordial leads, none; ranges in the order of `LEADS` ("I-AVR" is I, II,
    III, aVR), in whichever direction; numbers for precordial leads ("V1,3,4", "v5-6", "1"), but after a limb lead only
    4 to 6, as 1 to 3 could mean either; "alles"; a severity ("leicht") is for all leads where no lead is named; marks
    of doubt change nothing.
    """
    if text is None or (isinstance(text, float) and text != text):
        return NoiseLabel()
    reading = _Reading()
    for part in _PARTS.findall(str(text).upper()):
        reading.take(part)
    return reading.finish()


class _Reading:
    """State while a text is read from left to right."""

    def __init__(self) -> None:
        self.leads: set[int] = set()
        self.unread: list[str] = []
        self.last: int | None = None
        self.open_range = False
        self.after_v = False
        self.separated = True
        self.severity = False

    def take(self, part: str) -> None:
        """Reads one part: a word, digits, dashes, separators, or another character."""
        if self.after_v and not part.isdecimal() and part.strip():
            self._fail("V")
        if _TO.fullmatch(part):
            if self.last is None or self.open_range:
                self._fail(part)
            else:
                self.open_range = True
        elif part.isdecimal():
            self._number(part)
        elif part == "V":
            self.after_v = True
        elif part in _NAMES:
            self._add([_NAMES[part]])
        elif _ALL.fullmatch(part):
            self.leads.update(range(len(LEADS)))
        elif _SEVERITY.fullmatch(part):
            self.severity = True
        elif not _FILLER.fullmatch(part) and not self._is_separator(part):
            self._fail(part)
        self.separated = self._is_separator(part) or bool(_TO.fullmatch(part))

    def finish(self) -> NoiseLabel:
        """Returns what was read."""
        if self.after_v:
            self._fail("V")
        if self.open_range:
            self._fail("-")
        if self.severity and not self.leads and not self.unread:
            self.leads.update(range(len(LEADS)))
        return NoiseLabel(tuple(sorted(self.leads)), tuple(self.unread))

    def _number(self, digits: str) -> None:
        """Reads digits: behind a V, or alone; several digits only where they follow upon each other ("V123")."""
        numbers = [int(digit) for digit in digits]
        after_limb = self.last is not None and self.last < _FIRST_PRECORDIAL
        clear = self.after_v or (self.separated and len(numbers) == 1 and (not after_limb or numbers[0] > 3))
        self.after_v = False
        consecutive = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        if clear and consecutive and 1 <= numbers[0] and numbers[-1] <= 6:
            self._add([_FIRST_PRECORDIAL + number - 1 for number in numbers])
        else:
            self._fail(digits)

    def _add(self, leads: list[int]) -> None:
        """Adds leads, and those between where a range is open."""
        if self.open_range and self.last is not None:
            low, high = sorted((self.last, leads[0]))
            self.leads.update(range(low, high + 1))
        self.leads.update(leads)
        self.last, self.open_range = leads[-1], False

    def _fail(self, part: str) -> None:
        self.unread.append(part)
        self.after_v = self.open_range = False

    @staticmethod
    def _is_separator(part: str) -> bool:
        return not part.strip(" \t\r\n\f\v\xa0,;./+&?!:()")


def lead_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Labels every lead of every record.

    A record with a text that cannot be read is neither clean nor noisy in any lead; a warning lists such texts.

    Args:
        table: One row per record: `ecg_id` and the columns of `TYPE_COLUMNS`; ValueError if one is missing.

    Returns:
        One row per record and lead, in the order of the table and of `LEADS`: `ecg_id`, `lead`, and as bool `static`,
        `baseline`, `burst`, `electrodes`, `clean` (none of the four) and `unread`.
    """
    absent = [column for column in ("ecg_id", *TYPE_COLUMNS.values()) if column not in table]
    if absent:
        raise ValueError(f"the table of records lacks column(s) {', '.join(absent)}, which noise labels need")
    unread_of = unread_texts(table)
    if len(unread_of):
        examples = "; ".join(f"{row.ecg_id}: {row.text!r}" for row in unread_of.head(10).itertuples())
        message = "%d noise text(s) cannot be read, their records count as neither clean nor noisy: %s"
        _log.warning(message, len(unread_of), examples)
    labels = table[["ecg_id"]].merge(pd.DataFrame({"lead": LEADS}), how="cross")
    unread = np.repeat(table["ecg_id"].isin(unread_of["ecg_id"]).to_numpy(), len(LEADS))
    for kind, column in TYPE_COLUMNS.items():
        named = [parse_noise(text).leads for text in table[column]]
        labels[kind] = ~unread & np.array([n in leads for leads in named for n in range(len(LEADS))], dtype=bool)
    labels["clean"] = ~unread & ~labels[list(NOISE_TYPES)].any(axis=1)
    labels["unread"] = unread
    return labels.astype({"ecg_id": "int64"})


def unread_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Lists the texts of a table of records that cannot be read, a row of `ecg_id`, `column`, `text` for each."""
    found = [
        (int(key), column, str(text).strip())
        for column in TYPE_COLUMNS.values()
        for key, text in zip(table["ecg_id"], table[column], strict=True)
        if parse_noise(text).unread
    ]
    return pd.DataFrame(found, columns=["ecg_id", "column", "text"])
