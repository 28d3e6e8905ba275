"""The twelve leads, their names and their algebra.

Only eight leads are independent (I, II, V1-V6): the limb leads are differences of three electrode potentials, so
III = II - I (Einthoven's law), aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2 (Goldberger's leads).
"""

import difflib
import importlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # torch is imported where a tensor is met only: the preparing processes do without it
    import torch

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
INDEPENDENT_LEADS: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
NINE_LEADS: tuple[str, ...] = ("I", "II", "III", "V1", "V2", "V3", "V4", "V5", "V6")
NINE_REPORTED: tuple[str, ...] = ("II", "III", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The leads that RhythmDiff's lead-I scores are averaged over."""

LIMB_COEFFICIENTS: dict[str, tuple[float, float]] = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
"""Each limb lead as (a, b) of a * I + b * II."""

_BY_UPPER = {lead.upper(): lead for lead in LEADS}
_ROMAN = {"I": "I", "II": "II", "III": "III", "1": "I", "2": "II", "3": "III"}
_BY_ALIAS = {prefix + number: lead for number, lead in _ROMAN.items() for prefix in ("D", "L", "ML")}
_CODES = dict(enumerate(INDEPENDENT_LEADS, start=1)) | dict(enumerate(("III", "aVR", "aVL", "aVF"), start=61))
_BY_CODE: dict[int, tuple[str, int]] = {code: (lead, 1) for code, lead in _CODES.items()} | {65: ("aVR", -1)}
"""Leads by their number in SCP-ECG, which MDC and DICOM use too; 65 is the opposite of aVR."""
_AMBIGUOUS = re.compile(r"(?:(?:ECG|EKG|CH|CHANNEL|LEAD)[\s_.-]*[0-9A-D]*|V|C[1-6]?|MV\d?|MCL\d?)")

SignalT = TypeVar("SignalT", NDArray[np.float32], NDArray[np.float64], "torch.Tensor")


def lead_rows(leads: Iterable[str]) -> list[int]:
    """Gives the rows of leads in arrays of all twelve."""
    return [LEADS.index(lead) for lead in leads]


INDEPENDENT_ROWS = lead_rows(INDEPENDENT_LEADS)


def parse_lead(name: str) -> tuple[str, int] | None:
    """Reads the name or code by which a file calls a lead.

    Understood are any case, prefixes ("ECG lead II", "Lead I", "LEAD_V1", "DI", "D3"), remarks ("I (Einthoven)",
    "V1-Ref"), modified limb leads ("MLII"), the opposite lead ("-aVR") and codes of MDC ("MDC_ECG_LEAD_V1", "2:3") and
    SCP ("5.6.3-9-3").

    Returns:
        The lead, spelt as in `LEADS`, and its sign, 1 or -1; None where it is no name of one of the twelve, or of more
        than one of them, such as "ECG1", "V" or "MCL".
    """
    text = re.sub(r"[([].*?[)\]]", " ", unicodedata.normalize("NFKC", str(name))).strip()
    code = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d+)", text)
    if code:
        return _BY_CODE.get(int(code[1]))
    opposite = re.match(r"[-\u2212\u2013]\s*", text)
    key = text[opposite.end() :].upper() if opposite else text.upper()
    key = re.sub(r"^MDC[_ ]ECG[_ ]", "", key)
    key = re.sub(r"^(?:(?:ECG|EKG)[\s_.:-]*)?(?:LEAD|ABL\.?|ABLEITUNG)?[\s_.:-]*", "", key)
    key = re.sub(r"[\s_-]*REF$", "", key).strip(" _.:")
    sign = -1 if opposite else 1
    if key.endswith("NEG") and key[:-3] in _BY_UPPER:
        key, sign = key[:-3], -sign
    lead = _BY_UPPER.get(key) or _BY_ALIAS.get(key)
    return None if lead is None else (lead, sign)


def is_ambiguous(name: str) -> bool:
    """Says whether a channel's name is that of an ECG, but not of one lead: "ECG1", "V", "MCL1", "C3"."""
    return bool(_AMBIGUOUS.fullmatch(str(name).strip().upper()))


def canonical_leads(names: Sequence[str]) -> tuple[str, ...]:
    """Spells lead names the way the project does.

    Args:
        names: Lead names in any case and order; those that `parse_lead` knows are understood.

    Returns:
        The same leads, spelt as in `LEADS`, in the order given; ValueError if one is unknown, given twice, or the
        opposite of a lead.
    """
    if isinstance(names, str):
        names = [names]
    if isinstance(names, bytes) or not isinstance(names, Iterable):
        raise ValueError(f'leads is {names!r}: give names, such as leads=["I", "II"]')
    leads: list[str] = []
    for name in names:
        lead, sign = parse_lead(name) or (None, 1)
        if lead is None:
            key = str(name).strip().upper()
            near = [_BY_UPPER[match] for match in difflib.get_close_matches(key, list(_BY_UPPER), n=3, cutoff=0.4)]
            hint = f"near names: {', '.join(near)}" if near else f"known leads: {', '.join(LEADS)}"
            raise ValueError(f"unknown lead {str(name)[:40]!r}; {hint}")
        if sign < 0:
            raise ValueError(
                f"{name!r} is the opposite of lead {lead}: turn the sign of its samples and name it {lead}"
            )
        if lead in leads:
            raise ValueError(f"lead {lead} is given twice in {list(names)}; name each lead once")
        leads.append(lead)
    return tuple(leads)


def lead_matrix(to: Sequence[str], frm: Sequence[str] = INDEPENDENT_LEADS) -> NDArray[np.float64]:
    """Returns the matrix that derives leads from others.

    A lead that is itself among the sources is copied; other limb leads come from the first pair of independent limb
    leads, by Cramer's rule, so that all entries are exact.

    Args:
        to: Leads to derive, m names in any case; ValueError if one cannot be derived from those given.
        frm: Leads to derive them from, n names in any case.

    Returns:
        Matrix of shape (m, n), without unit, such that `matrix @ ecg[frm]` is `ecg[to]`.
    """
    targets, sources = canonical_leads(to), canonical_leads(frm)
    limb = [lead for lead in sources if lead in LIMB_COEFFICIENTS]
    pair = next(iter(combinations(limb, 2)), None)  # no two limb leads are parallel
    matrix = np.zeros((len(targets), len(sources)))
    for row, lead in enumerate(targets):
        if lead in sources:
            matrix[row, sources.index(lead)] = 1.0
        elif lead in LIMB_COEFFICIENTS and pair is not None:
            (a1, b1), (a2, b2), (a, b) = (LIMB_COEFFICIENTS[name] for name in (*pair, lead))
            determinant = a1 * b2 - a2 * b1
            matrix[row, sources.index(pair[0])] = (a * b2 - a2 * b) / determinant
            matrix[row, sources.index(pair[1])] = (a1 * b - a * b1) / determinant
        else:
            needs = "two limb leads" if lead in LIMB_COEFFICIENTS else f"{lead} itself"
            raise ValueError(f"lead {lead} cannot be derived from {', '.join(sources)}: it needs {needs}")
    return matrix


def consistent_matrix(to: Sequence[str], frm: Sequence[str]) -> NDArray[np.float64]:
    """Returns the matrix that derives leads from others that may contradict each other; arguments as for `lead_matrix`.

    More than two limb leads say the same more than once. The leads I and II that fit all of them best, in least
    squares, then give every limb lead, so that Einthoven's and Goldberger's equations hold whatever the sources are;
    `consistent_matrix(leads, leads)` is the projection onto the ECGs that obey them. Where there are no more than two
    limb leads this is `lead_matrix`, to the bit.
    """
    targets, sources = canonical_leads(to), canonical_leads(frm)
    matrix = lead_matrix(targets, sources)
    if independent_part(sources) == sources:
        return matrix
    columns = [place for place, lead in enumerate(sources) if lead in LIMB_COEFFICIENTS]
    rows = [place for place, lead in enumerate(targets) if lead in LIMB_COEFFICIENTS]
    source_limbs = np.array([LIMB_COEFFICIENTS[sources[column]] for column in columns])
    target_limbs = np.array([LIMB_COEFFICIENTS[targets[row]] for row in rows]).reshape(-1, 2)
    best_pair = np.linalg.solve(source_limbs.T @ source_limbs, source_limbs.T)
    matrix[np.ix_(rows, columns)] = target_limbs @ best_pair
    return matrix


def independent_part(leads: Sequence[str]) -> tuple[str, ...]:
    """Returns leads that say all that others do, none of them twice.

    These are the leads themselves where no more than two of them are limb leads; else I and II, and those that are not.
    """
    names = canonical_leads(leads)
    chest = tuple(lead for lead in names if lead not in LIMB_COEFFICIENTS)
    return names if len(names) <= len(chest) + 2 else (*INDEPENDENT_LEADS[:2], *chest)


def to_twelve(x: SignalT) -> SignalT:
    """Derives the twelve leads, in the order of `LEADS`, shape (..., 12, L), from the eight independent ones.

    Args:
        x: ECG in mV, leads in the order of `INDEPENDENT_LEADS`, shape (..., 8, L); numpy or torch.
    """
    if x.shape[-2] != len(INDEPENDENT_LEADS):
        raise ValueError(f"expected {len(INDEPENDENT_LEADS)} leads on axis -2 ({', '.join(INDEPENDENT_LEADS)})")
    one, two = x[..., 0:1, :], x[..., 1:2, :]
    derived: list[Any] = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    library: Any = np if isinstance(x, np.ndarray) else importlib.import_module("torch")
    return library.concatenate([*derived, x[..., 2:, :]], axis=-2)


def leads_to_report(observed: NDArray[np.bool_]) -> tuple[str, ...]:
    """Chooses the leads to sum errors up over: RhythmDiff's nine where lead I alone was given, else all with a gap.

    Args:
        observed: True where a sample was given, shape (N, 12, L).
    """
    if observed[:, 0].all() and not observed[:, 1:].any():
        return NINE_REPORTED
    return tuple(lead for place, lead in enumerate(LEADS) if not observed[:, place].all())
