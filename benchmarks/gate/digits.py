"""`regress` on digits, again and again: the tree as it is, with other seeds of the judge, and with planted faults.

    python -m benchmarks.gate.digits --times 20

Every row is a whole `python -m harness regress` against the committed baseline: it generates and judges.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from evaluation.base.machine import this_machine

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
BASELINE = RESULTS / "digits-baseline.json"
UNCHANGED = "unchanged"


class Fault(NamedTuple):
    """A change of one file: `old` becomes `new`."""

    file: str
    old: str
    new: str


FAULTS = {
    # every batch scaled, by up to four times
    "worse augmentation": Fault(
        "evaluation/judge/dsa.py",
        "KINDS = tuple(AUGMENTATIONS)\n",
        'SCALE_RATIO = 4.0\nKINDS = ("scale",) * len(AUGMENTATIONS)\n',
    ),
    "wrong class": Fault(
        "submission/worker/source.py",
        "labels_B, indices_B = torch.tensor(part).unbind(1)\n",
        "labels_B, indices_B = torch.tensor(part).unbind(1)\n"
        "        labels_B = torch.where(labels_B == 3, 8, labels_B)\n",
    ),
    "half the images": Fault("harness/run/generation.py", "ipc=plan.ipc_cap,", "ipc=(plan.ipc_cap or 2) // 2,"),
}


def plant(fault: str, folder: Path) -> Path:
    """A copy of the three packages with a fault in it. Raises ValueError where its place is not found."""
    file, old, new = FAULTS[fault]
    for package in ("evaluation", "submission", "harness"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / file).read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ValueError(f"{file} has {old!r} {text.count(old)} times; plant the fault elsewhere")
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder


def gate(tree: Path, judge_seed: int) -> dict[str, Any]:
    """What `regress` says of `tree`: its exit code, verdict and rows."""
    began = time.monotonic()
    with TemporaryDirectory() as out:
        command = [sys.executable, "-m", "harness", "regress", "--baseline", str(BASELINE), "--json"]
        command += ["--judge-seed", str(judge_seed), "--out", str(Path(out) / "run")]
        done = subprocess.run(
            command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False
        )
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"regress said nothing: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    kept = ("name", "before", "after", "verdict", "ci95")
    rows = [{name: row[name] for name in kept} for row in told["rows"]]
    seconds = round(time.monotonic() - began, 1)
    return {"exit_code": done.returncode, "verdict": told["verdict"], "rows": rows, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="of the unchanged tree; default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULTS / "gate-digits.json")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": asdict(this_machine()), "runs": []}
    if options.out.exists():
        report = json.loads(options.out.read_text(encoding="utf-8"))
    seeds: dict[str, int] = dict.fromkeys(FAULTS, 1) | {UNCHANGED: options.times}
    for fault, times in seeds.items():
        with TemporaryDirectory() as folder:
            tree = ROOT if fault == UNCHANGED else plant(fault, Path(folder))
            for seed in range(1, times + 1):
                if any((run["tree"], run["judge_seed"]) == (fault, seed) for run in report["runs"]):
                    continue
                run = {"tree": fault, "judge_seed": seed, **gate(tree, seed)}
                report["runs"].append(run)
                print(fault, seed, run["exit_code"], run["verdict"], file=sys.stderr, flush=True)
                options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
