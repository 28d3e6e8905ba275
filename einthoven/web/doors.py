"""What the page shows where this version of Einthoven offers it: the electrodes check and the measures."""

import math
from typing import Any

import einthoven

CHECK_ELECTRODES, MEASURE = "check_electrodes", "measure"


def offers(name: str) -> bool:
    """Tells whether `einthoven` offers a function, without loading it."""
    return name in dir(einthoven)


def check_electrodes(ecg: Any) -> Any:  # noqa: ANN401 (an `Electrodes`)
    """Calls `einthoven.check_electrodes`; ValueError where there is none."""
    return _door(CHECK_ELECTRODES)(ecg)


def name_lead(ecg: Any) -> Any:  # noqa: ANN401 (a `LeadName`)
    """Calls `einthoven.name_lead`; ValueError where there is none."""
    return _door("name_lead")(ecg)


def measure(ecg: Any) -> list[dict[str, Any]]:  # noqa: ANN401 (a recording or a result)
    """Returns the table of `einthoven.measure` as plain rows; ValueError where there is no such function."""
    table = _door(MEASURE)(ecg).table
    return [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def _door(name: str) -> Any:  # noqa: ANN401 (a function that may not be there)
    if not offers(name):
        raise ValueError(f"this version of Einthoven has no {name}")
    return getattr(einthoven, name)


def _plain(value: Any) -> Any:  # noqa: ANN401 (a cell of a table)
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "" if value is None else str(value)
    return number if math.isfinite(number) else None
