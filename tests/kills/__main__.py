"""`python -m tests.kills`: kills scripts, fills their disk, starts them twice, and prints what came of it."""

import argparse
import tempfile
import time
from pathlib import Path

from tests.kills.attack import ALL_FAILURES, Attack, Result, plan
from tests.kills.blows import TMPFS, WORKER
from tests.kills.jobs import JOBS, write_data


def main() -> int:
    """Attacks; the exit status is 1 where there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="signals in all (default: 200)")
    parser.add_argument("--failures", type=int, default=3, help="failures of each kind of a job's disk (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    parser.add_argument("--only", default="", help="jobs, separated by commas")
    words = parser.parse_args()
    jobs = tuple(job for job in JOBS if not words.only or job.name in words.only.split(","))
    numbers, begun, results = plan(jobs, words.kills), time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder) / "data")
        for job in jobs:
            attack = Attack(job, Path(folder) / "data", Path(folder) / "runs", words.seed)
            attack.strike(numbers[job.name])
            if job.is_on_ray:
                attack.kill_workers(numbers[job.name])
            for name in ALL_FAILURES:
                attack.fail(name, words.failures if job.share >= 0.5 else 1)
            try:
                attack.fill(words.failures if job.share >= 0.5 else 1)
            except PermissionError as error:
                print(error, flush=True)  # noqa: T201
            attack.start_two()
            results.append(attack.result)
            print(describe(results[-1:]).splitlines()[-1], flush=True)  # noqa: T201
            for line in results[-1].faults:
                print(line, flush=True)  # noqa: T201
    print(f"{describe(results)}\n{time.perf_counter() - begun:.0f} s, seed {words.seed}")  # noqa: T201
    return 1 if any(result.faults for result in results) else 0


def describe(results: list[Result]) -> str:
    """Returns a table of counts by job."""
    kinds = ("SIGKILL", "SIGTERM", "SIGINT", WORKER, *ALL_FAILURES, TMPFS, "two at once")
    lines = [f"| job | {' | '.join(kinds)} | too late | faults |", "|---|" + "---:|" * (len(kinds) + 2)]
    for result in results:
        counts = [*(result.blows.get(kind, 0) for kind in kinds), result.missed, len(result.faults)]
        lines.append(f"| {result.job} | " + " | ".join(map(str, counts)) + " |")
    sums = [sum(result.blows.get(kind, 0) for result in results) for kind in kinds]
    sums += [sum(result.missed for result in results), sum(len(result.faults) for result in results)]
    lines.append("| all | " + " | ".join(map(str, sums)) + " |")
    return "\n".join(lines if len(results) > 1 else lines[:-1])


if __name__ == "__main__":
    raise SystemExit(main())
