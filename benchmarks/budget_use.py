"""How well the budget is used: no run past the deadline, little time left over, nearly all of it spent generating.

    python -m benchmarks.budget_use                        # about 20 minutes; on an idle machine
    python -m benchmarks.budget_use --runs 1 --budget 10   # a rehearsal

Every run is the whole harness as a user starts it, on digits, with no cap on images per class. First the generator is
profiled; the profile's prediction is compared with what the runs give. Then come machines that misbehave
(`benchmarks/awkward`). What must hold is in `REQUIRED`; if something does not, the exit code is 1.

A prediction is compared with the mean of the steady runs: the speed of shared machines varies by more than 5% from
minute to minute, and so do equal runs. The file has each run's own ratio too; with `--fresh` each steady run gets a
profile taken just before it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from evaluation.base.machine import this_machine
from submission.worker.pacing import margin_s

ROOT = Path(__file__).resolve().parent.parent
AWKWARD = ROOT / "benchmarks" / "awkward"


@dataclass(frozen=True)
class Case:
    """One way to run.

    Attributes:
        profiled: whether there is a profile; otherwise the worker tries batch sizes on the clock.
        environment: added to the harness's.
        disk_bound: the disk is the limit, not the generator, so time spent generating is not checked.
    """

    name: str
    generator: str
    profiled: bool
    environment: Mapping[str, str]
    disk_bound: bool = False


@dataclass(frozen=True)
class Run:
    """What one run did with its budget.

    Attributes:
        overrun: it had to be killed, or ended after the deadline.
        used: part of the budget, from the start to the end of the last process.
        generating: part of the time after loading and warming up.
        imbalance: most images of a class less the fewest.
        predicted_over_actual: of the IPC; None without a prediction.
        ledger: seconds by phase.
    """

    case: str
    outcome: str
    overrun: bool
    used: float
    generating: float
    imbalance: int
    ipc: float
    predicted_over_actual: float | None
    batch_size: int | None
    left_s: float
    ledger: dict[str, float]


REQUIRED = {"overrun": "none", "used": 0.97, "generating": 0.95, "imbalance": 1, "prediction error of the mean": 0.05}


def cases() -> list[Case]:
    """Steady first, then what goes wrong."""
    awkward = {"PYTHONPATH": str(AWKWARD / "generators")}
    disk = str(AWKWARD / "slow_disk")
    return [
        Case("steady", "native", True, {}),
        Case("without a profile", "native", False, {}),
        Case("slow disk, latency", "native", True, {"PYTHONPATH": disk, "SLOW_DISK": "latency:0.1"}),
        Case("slow disk, throughput", "native", True, {"PYTHONPATH": disk, "SLOW_DISK": "throughput:0.1"}, True),
        Case("throttled midway", "throttled", False, awkward),
        Case("slow first batch", "slow-first", False, awkward),
    ]


def run_case(case: Case, budget_s: float, out: Path, caches: Path) -> Run:
    """One run in a process of its own. `caches / "profiled"` holds the profile, `caches / "empty"` none."""
    cache = caches / ("profiled" if case.profiled else "empty")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **case.environment}
    arguments = ("--dataset", "digits", "--generator", case.generator, "--ipc", "none", "--no-judge")
    _harness([*arguments, "--budget", f"{budget_s:g}s", "--out", str(out)], environment)
    record = json.loads((out / "record.json").read_text(encoding="utf-8"))
    return read_run(case.name, record)


def read_run(case: str, record: dict[str, Any]) -> Run:
    """How a run used its budget, from its record."""
    clock, ipc = record["clock"], record["ipc"] or {"mean": 0.0, "min": 0, "max": 0}
    phases = {name: seconds for name, seconds in clock["ledger"].items() if name != "killed_after_s"}
    used_s = clock["ended"] - clock["started"]
    after_start_s = used_s - phases["load"] - phases["warmup"]
    predicted = record["plan"]["predicted_ipc"]
    return Run(
        case=case,
        outcome=record["outcome"],
        overrun=record["outcome"] != "ok" or clock["ended"] > clock["deadline"],
        used=used_s / record["budget_s"],
        generating=phases["generate"] / after_start_s if after_start_s > 0 else 0.0,
        imbalance=ipc["max"] - ipc["min"],
        ipc=ipc["mean"],
        predicted_over_actual=predicted / ipc["mean"] if predicted is not None and ipc["mean"] else None,
        batch_size=record["plan"]["batch_size"],
        left_s=clock["deadline"] - clock["ended"],
        ledger={name: round(seconds, 3) for name, seconds in phases.items()},
    )


def failings(case: Case, run: Run) -> list[str]:
    """Which requirements a single run fails."""
    found = []
    if run.overrun:
        found.append(f"overrun ({run.outcome})")
    if run.used < 0.97:
        found.append(f"{run.used:.1%} of the budget used")
    if run.generating < 0.95 and not case.disk_bound:
        found.append(f"{run.generating:.1%} generating after loading")
    if run.imbalance > 1:
        found.append(f"classes {run.imbalance} images apart")
    return found


@dataclass(frozen=True)
class Prediction:
    """The profile's prediction against the steady runs.

    Attributes:
        over_mean: predicted IPC over the mean of the runs' IPC.
        least, most: predicted IPC over that of a single run, the machine's own variation included.
    """

    predicted_ipc: float
    mean_ipc: float
    over_mean: float
    least: float
    most: float
    holds: bool


def prediction(runs: Sequence[Run]) -> Prediction | None:
    """For the steady ones among `runs`; None if none has a prediction."""
    steady = [
        (run.ipc, run.predicted_over_actual)
        for run in runs
        if run.case == "steady" and run.predicted_over_actual is not None
    ]
    if not steady:
        return None
    predicted, got = fmean(ipc * ratio for ipc, ratio in steady), fmean(ipc for ipc, _ in steady)
    ratios = [ratio for _, ratio in steady]
    return Prediction(predicted, got, predicted / got, min(ratios), max(ratios), abs(predicted / got - 1) <= 0.05)


def take_profile(out: Path, caches: Path) -> dict[str, Any]:
    """Profile native on digits, whatever is in the cache; the profile as JSON."""
    print("profiling native on digits", flush=True)
    command = ["profile", "--dataset", "digits", "--generator", "native", "--refresh", "--out", str(out)]
    _harness(command, {**os.environ, "XDG_CACHE_HOME": str(caches / "profiled")})
    profile: dict[str, Any] = json.loads((out / "profile.json").read_text(encoding="utf-8"))
    return profile


def _harness(arguments: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"the harness ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="steady ones; of the others at most 3 (default: 10)")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds; the others have half (default: 60)")
    parser.add_argument("--only", help="the cases whose names begin so")
    parser.add_argument("--fresh", action="store_true", help="take the profile again before each steady run")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/budget-use-<machine>.json")
    options = parser.parse_args()

    machine = this_machine()
    out = options.out or Path(__file__).parent / "results" / f"budget-use-{machine.label}.json"
    runs: list[Run] = []
    predicted: Prediction | None = None
    failed = False
    with TemporaryDirectory(prefix="budget-use-") as folder:
        caches = Path(folder) / "caches"
        profile = take_profile(Path(folder) / "profile", caches)
        for case in cases():
            if options.only and not case.name.startswith(options.only):
                continue
            steady = case.name == "steady"
            for number in range(options.runs if steady else min(3, options.runs)):
                if steady and options.fresh and number:
                    profile = take_profile(Path(folder) / f"profile-{number}", caches)
                budget_s = options.budget if steady else max(10.0, options.budget / 2)
                run = run_case(case, budget_s, Path(folder) / f"{len(runs):03d}", caches)
                runs.append(run)
                found = failings(case, run)
                failed = failed or bool(found)
                print(f"{case.name} {number + 1}: {_words(run)}: {'; '.join(found) or 'holds'}", flush=True)
                report = {
                    "machine": asdict(machine),
                    "budget_s": options.budget,
                    "margin_s": margin_s(options.budget, "cpu"),
                    "required": REQUIRED,
                    "profile": {name: profile[name] for name in ("start", "points", "sustained", "predictions")},
                    "prediction": asdict(predicted) if (predicted := prediction(runs)) else None,
                    "runs": [asdict(each) for each in runs],
                }
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if predicted is not None:
        failed = failed or not predicted.holds
        means = f"{predicted.predicted_ipc:.4g} predicted, {predicted.mean_ipc:.4g} on average"
        print(f"IPC: {means}, predicted / actual {predicted.over_mean:.3f}")
    print(f"written to {out}")
    raise SystemExit(int(failed))


def _words(run: Run) -> str:
    ratio = "" if run.predicted_over_actual is None else f", predicted / actual {run.predicted_over_actual:.3f}"
    return f"{run.used:.1%} used, {run.generating:.1%} generating, IPC {run.ipc:g}{ratio}, {run.left_s:.2f} s left"


if __name__ == "__main__":
    main()
