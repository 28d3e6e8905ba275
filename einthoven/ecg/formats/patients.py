"""What may be kept of a patient: age and sex, however a file gives them."""

from datetime import date

from einthoven.ecg.recording import Patient

OLDEST = 130
"""A patient is no older, in years: more is a code for "unknown"."""
SEXES: dict[str, str] = {"F": "female", "W": "female", "M": "male"}
"""Sexes by the first letter of the words for them."""
YEARS: dict[str, float] = {"Y": 1.0, "A": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25, "H": 1 / 8766}
"""Units of an age by their first letter, in years; "a" is the annum of UCUM."""


def patient_of(age: float | None, sex: str | None) -> Patient | None:
    """Returns a patient of an age in years and a word for the sex; None where neither says anything."""
    known_sex = SEXES.get((sex or "").strip().upper()[:1])
    known_age = age if age is not None and 0 <= age <= OLDEST else None
    return None if known_age is None and known_sex is None else Patient(known_age, known_sex)


def age_of(value: str, unit: str = "Y") -> float | None:
    """Returns an age in years; None where the number or its unit is not known."""
    try:
        return float(value) * YEARS[unit.strip().upper()[:1] or "Y"]
    except (KeyError, ValueError):
        return None


def age_between(born: date | None, start: date | None) -> float | None:
    """Returns the age in whole years at the start of a recording."""
    if born is None or start is None:
        return None
    return float(start.year - born.year - ((start.month, start.day) < (born.month, born.day)))
