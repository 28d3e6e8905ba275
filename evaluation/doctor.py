"""What this machine has, whether it computes what it should, and how fast: python -m evaluation.doctor."""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import script


@script("doctor")
def main(config: dict[str, Any]) -> Outcome:
    """Prints the machine, a self-test on each device, and rows of the benchmark; writes nothing."""
    from evaluation.benchmarks.machine_report import describe_checks, describe_machine, devices, measured_rows
    from evaluation.benchmarks.self_test import self_test

    checks = self_test(devices() if config["device"] is None else [config["device"]])
    parts = [describe_machine(), describe_checks(checks)]
    if config["rows"]:
        parts.append(measured_rows(config["parts"]))
    failed = [f"{check.name} on {check.device}" for check in checks if check.failed]
    parts.append(f"WRONG: {', '.join(failed)}" if failed else "all answers are as known")
    return Outcome("\n\n".join(parts), then=["inpaint", "data=demo"], failed=bool(failed))


if __name__ == "__main__":
    main()
