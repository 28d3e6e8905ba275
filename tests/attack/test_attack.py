"""The attack, in the size that every run of the tests affords; `make attack` runs 5,000 cases."""

from tests.attack.running import attack, describe, plan
from tests.attack.victim import FAULTS
from tests.scripts import fork_context

CASES = 200


def test_no_case_ends_in_a_fault():
    cases = plan(CASES, 0)
    with fork_context().Pool(1) as pool:
        verdicts = pool.apply(attack, (cases, 1))
    faults = [
        f"{case}: {verdict.kind}: {verdict.what}: {verdict.message}"
        for case, verdict in zip(cases, verdicts, strict=True)
        if verdict.kind in FAULTS
    ]
    assert not faults, "\n".join([describe(cases, verdicts), *faults])
