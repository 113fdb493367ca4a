"""How precise the deadline is: friendly and hostile generators, as processes and in containers, on a busy machine.

    python -m benchmarks.deadline                       # 200 runs, less than a quarter of an hour
    python -m benchmarks.deadline --resume              # after an interruption: those that are missing
    python -m benchmarks.deadline --runs 12 --budget 1 --out /tmp/rehearsal.json

Each run's generator writes small files until it is killed, each with the CLOCK_MONOTONIC time just before it was
written. Meanwhile one process for each core does nothing but compute. Containers want an engine (DOCKER_HOST); without
one, all runs are processes. The overshoot is the time from the deadline until no process of the generator is left,
whether it writes or not. What must hold is in `REQUIRED`; if something does not, the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evaluation.base.limits import usable_cores
from evaluation.base.machine import this_machine
from harness.clock.container import engine
from harness.clock.container.limits import Limits
from harness.clock.container.sandbox import supervise_container
from harness.clock.container.visitor import Visitor
from harness.clock.late import last_moment, remove_late
from harness.clock.launch import Launch
from harness.clock.ledger import ledger
from harness.clock.supervisor import Ending, supervise

IMAGE = "python:3.11-slim-bookworm"
REQUIRED = {"overshoot_p99_s": 0.1, "overshoot_max_s": 0.3, "late_images": 0, "ledger_error": 0.001}

_WRITE = """
import os, signal, time
folder = os.environ["SUBMISSION_OUTPUT"]
def write():
    number = 0
    while True:
        with open(f"{folder}/{os.getpid()}-{number % 200}", "w") as file:
            file.write(f"{time.monotonic()}\\n")
        number += 1
        time.sleep(0.0005)
"""
GENERATORS = {
    "friendly": {"writes": "write()"},
    "hostile": {
        "ignores signals": """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
write()
""",
        "double fork, setsid": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        write()
    os._exit(0)
write()
""",
        "forks without end": """
while True:
    try:
        if os.fork() == 0:
            with open(f"{folder}/{os.getpid() % 2000}", "w") as file:
                file.write(f"{time.monotonic()}\\n")
    except OSError:
        pass
""",
        "many writers, stopped": """
for _ in range(20):
    if os.fork() == 0:
        write()
os.kill(os.getpid(), signal.SIGSTOP)
""",
        "holds much memory": """
held = b"x" * (300 << 20)
write()
""",
    },
}


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        kind: friendly or hostile.
        isolation: the route by which it was killed.
        overshoot_s: from the deadline to the death of the last process.
        last_write_s: from the deadline to the last write that it noted, counted or not; below 0 before. None where the
            files that do not count are not seen.
        last_counted_s: the same of the files that count; None without one.
        images, late_images: that count, and those of them that were written after the deadline.
        load: mean number of processes wanting a core in the minute before it ended, its own included.
        late_removed: that were written too late or too shortly before the deadline to tell.
        ledger_error: the ledger's sum against the time from start to end, as a part of it.
    """

    kind: str
    generator: str
    isolation: str
    overshoot_s: float
    last_write_s: float | None
    last_counted_s: float | None
    images: int
    late_images: int
    late_removed: int | None
    ledger_error: float
    load: float


def run_process(program: str, folder: Path, budget_s: float) -> tuple[Ending, float | None, int | None]:
    """Run it as `--command` would; also its last write, after the deadline, and how many files were too late."""
    output = folder / "images"
    launch = Launch([sys.executable, "-S", "-c", program], {**os.environ, "SUBMISSION_OUTPUT": str(output)}, folder)
    ending = supervise(lambda clock: launch, budget_s=budget_s, log=folder / "log.txt", hidden=[])
    last = max(stamps(output), default=None)
    late = remove_late(output, last_moment(ending, folder))
    return ending, None if last is None else last - ending.deadline, late


def run_container(program: str, folder: Path, budget_s: float, visitor: Visitor) -> tuple[Ending, None, int | None]:
    """Run it as `--image` would."""
    launch = Launch(["python", "-S", "-c", program], {"SUBMISSION_OUTPUT": "/output"}, folder)
    ending, copied = supervise_container(
        visitor, lambda clock: launch, output=folder / "images", budget_s=budget_s, log=folder / "log.txt"
    )
    return ending, None, copied.late


def stamps(output: Path) -> list[float]:
    """The times in the whole files."""
    return [float(text) for file in output.iterdir() if (text := file.read_text()).endswith("\n")]


def measure(kind: str, generator: str, program: str, budget_s: float, visitor: Visitor | None) -> Run:
    """One run of a generator, in a container where there is a visitor."""
    with TemporaryDirectory(prefix="deadline-") as place:
        folder = Path(place)
        (folder / "images").mkdir()
        if visitor is None:
            ending, last, late = run_process(program, folder, budget_s)
        else:
            ending, last, late = run_container(program, folder, budget_s, visitor)
        counted = stamps(folder / "images")
    assert ending.killed_after_s is not None, f"{generator} ended by itself: {ending.reason}"
    used = ending.ended - ending.started
    return Run(
        kind=kind,
        generator=generator,
        isolation=ending.isolation,
        overshoot_s=ending.killed_after_s,
        last_write_s=last,
        last_counted_s=max(counted) - ending.deadline if counted else None,
        images=len(counted),
        late_images=sum(stamp > ending.deadline for stamp in counted),
        late_removed=late,
        ledger_error=abs(ledger(None, ending.started, ending.ended, "generate").total - used) / used,
        load=round(os.getloadavg()[0], 1),
    )


def distribution(runs: Sequence[Run]) -> dict[str, Any]:
    """Percentiles of the overshoot in seconds, and the worst of the rest."""
    overshoots = np.array([run.overshoot_s for run in runs])
    median, p90, p99 = np.percentile(overshoots, [50, 90, 99]).round(5).tolist()
    return {
        "runs": len(runs),
        "overshoot_median_s": median,
        "overshoot_p90_s": p90,
        "overshoot_p99_s": p99,
        "overshoot_max_s": round(float(overshoots.max()), 5),
        "last_counted_write_max_s": max((run.last_counted_s for run in runs if run.last_counted_s), default=None),
        "late_images": sum(run.late_images for run in runs),
        "late_removed": sum(run.late_removed or 0 for run in runs),
        "images": sum(run.images for run in runs),
        "ledger_error": max(run.ledger_error for run in runs),
        "load_mean": round(float(np.mean([run.load for run in runs])), 1),
    }


def summary(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The distribution of all runs, and of each kind by each route."""
    groups = {"all": list(runs)}
    for run in runs:
        groups.setdefault(f"{run.kind}, {run.isolation}", []).append(run)
    return {name: distribution(group) for name, group in groups.items()}


def planned(runs: int, containers: bool) -> list[tuple[str, str, bool]]:
    """Kind, generator and whether in a container, of each run: each kind each way in turn, each of its generators."""
    names = {kind: cycle(named) for kind, named in GENERATORS.items()}
    ways = islice(cycle(product(GENERATORS, (False, True) if containers else (False,))), runs)
    return [(kind, next(names[kind]), contained) for kind, contained in ways]


def runs_in(report: Path, budget_s: float) -> list[Run]:
    """The runs of a report, to go on with. Raises SystemExit where they are of another budget."""
    told = json.loads(report.read_text(encoding="utf-8"))
    if told["budget_s"] != budget_s:
        raise SystemExit(f"the runs in {report} are of {told['budget_s']} s, not of {budget_s} s; choose another --out")
    return [Run(**each) for each in told["runs"]]


@contextmanager
def busy_cores() -> Iterator[int]:
    """As many processes as cores that only compute; how many."""
    burner = "while True: sum(range(10**6))"
    burners = [subprocess.Popen([sys.executable, "-S", "-c", burner]) for _ in range(usable_cores())]
    try:
        yield len(burners)
    finally:
        for each in burners:
            each.kill()
            each.wait()


def find_visitor() -> Visitor | None:
    """What containers run and get; None without an engine."""
    try:
        client = engine.connect()
    except ValueError as problem:
        print(f"No containers: {problem}", flush=True)
        return None
    return Visitor(client, engine.find_image(client, IMAGE), Limits.of_machine(client.info()), None, ("a", "b"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="in all (default: 200)")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds of each (default: 1.5)")
    parser.add_argument("--resume", action="store_true", help="keep the runs in the file and do the rest")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/deadline-<machine>.json")
    options = parser.parse_args()

    machine, visitor = this_machine(), find_visitor()
    out = options.out or Path(__file__).parent / "results" / f"deadline-{machine.label}.json"
    runs = runs_in(out, options.budget) if options.resume and out.exists() else []
    if len(runs) >= options.runs:
        raise SystemExit(f"{out} holds {len(runs)} runs already")
    with busy_cores() as burners:
        for kind, name, contained in planned(options.runs, bool(visitor))[len(runs) :]:
            program, place = _WRITE + GENERATORS[kind][name], visitor if contained else None
            run = measure(kind, name, program, options.budget, place)
            runs.append(run)
            print(f"{len(runs)}: {kind}, {run.isolation}, {name}: {run.overshoot_s * 1000:.1f} ms", flush=True)
            found = summary(runs)
            failing = [name for name, most in REQUIRED.items() if found["all"][name] > most]
            report = {
                "machine": asdict(machine),
                "engine": visitor.client.version()["Version"] if visitor else None,
                "budget_s": options.budget,
                "busy_processes": burners,
                "required": REQUIRED,
                "failing": failing,
                "summary": found,
                "runs": [asdict(each) for each in runs],
            }
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1), f"written to {out}", sep="\n")
    print("fails: " + ", ".join(failing) if failing else "holds")
    raise SystemExit(bool(failing))


if __name__ == "__main__":
    main()
