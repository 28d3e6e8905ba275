"""`python -m tests.attack`: runs cases of every class, prints how they end, and writes the counts into a page."""

import argparse
import time
from pathlib import Path

from tests.attack.running import Case, attack, describe, plan, write_table


def main() -> int:
    """Attacks; the exit status is 1 where there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="number of cases (default: 5000)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    parser.add_argument("--only", default="", help="one class, or one case of it as CLASS:NUMBER")
    parser.add_argument("--jobs", type=int, default=1, help="processes that attack side by side (default: 1)")
    parser.add_argument("--write", type=Path, help="page whose table of counts is written again")
    words = parser.parse_args()
    name, _, number = words.only.partition(":")
    cases = plan(words.cases, words.seed, name)
    cases = [case for case in cases if not number or case.number == int(number)]
    start = time.perf_counter()
    verdicts = attack(cases, words.jobs)
    table = describe(cases, verdicts)
    faults = _faults(cases, verdicts)
    print(table, f"\n{len(cases)} cases in {time.perf_counter() - start:.0f} s, seed {words.seed}")  # noqa: T201
    for line in faults:
        print(line)  # noqa: T201
    if words.write:
        write_table(words.write, cases, verdicts)
    return 1 if faults else 0


def _faults(cases: list[Case], verdicts: list) -> list[str]:
    from tests.attack.victim import FAULTS

    return [
        f"{case}: {verdict.kind}: {verdict.what}: {verdict.message}"
        for case, verdict in zip(cases, verdicts, strict=True)
        if verdict.kind in FAULTS
    ]


if __name__ == "__main__":
    raise SystemExit(main())
