"""Does `tune` choose as an exhaustive sweep does, and at what fraction of its cost? On digits with `native`.

    python -m benchmarks.tune_sweep

The sweep makes every candidate's whole budget of images, by a real run under the clock, and judges all of them on the
same held-out training images with the same few epochs (marked previews, like the pilots'). `tune` runs first, with an
empty cache, so that its profile is part of its time. Required: the accuracy of the chosen step count lies within
the 95% interval of the best one's, in under a quarter of the sweep's time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.base.challenge import get_challenge
from evaluation.base.images import balanced_split
from evaluation.base.machine import this_machine
from evaluation.data.datasets import load_split
from evaluation.judge.score import judge
from evaluation.submitted.folder import read_folder
from harness.commands.tune import MAX_HELD_OUT

DATASET, GENERATOR = "digits", "native"
QUARTER = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="2,4,6,8,12,16", help="default: %(default)s")
    parser.add_argument("--budget", type=float, default=12.0, help="seconds (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--sweep", type=Path, help="compare a new `tune` with the sweep in this earlier report")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/tune-sweep-<machine>.json")
    options = parser.parse_args()
    machine = this_machine()
    out = options.out or Path(__file__).parent / "results" / f"tune-sweep-{machine.label}.json"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        tuned = run_tune(options, Path(folder))
        report: dict[str, Any] = {
            "machine": asdict(machine),
            "dataset": DATASET,
            "generator": GENERATOR,
            "budget_s": options.budget,
            "epochs": options.epochs,
            "rounds": options.rounds,
            "preview": True,
            "tune": tuned,
            "sweep": [],
        }
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "empty")  # the sweep knows nothing of the profile and plan
        for found in earlier(options) if options.sweep else sweep(options, Path(folder)):
            report["sweep"].append(found)
            conclude(report)
            out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")


def sweep(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Every step count in turn."""
    for steps in map(int, options.steps.split(",")):
        yield sweep_one(steps, options, folder)


def earlier(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The sweep of an earlier report. Raises SystemExit where it was of other budgets or judgements."""
    report = json.loads(options.sweep.read_text(encoding="utf-8"))
    if (report["budget_s"], report["epochs"], report["rounds"]) != (options.budget, options.epochs, options.rounds):
        raise SystemExit(f"{options.sweep} was swept with another budget, epochs or rounds")
    found: list[dict[str, Any]] = report["sweep"]
    return found


def run_tune(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The real command; its seconds are those of the whole process."""
    command = ["tune", "--dataset", DATASET, "--generator", GENERATOR, "--steps", options.steps, "--ipc", "none"]
    extent = ["--epochs", str(options.epochs), "--rounds", str(options.rounds), "--budget", str(options.budget)]
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "harness", *command, *extent, "--out", str(folder / "tuned")], check=True)
    seconds = time.monotonic() - began
    choice = json.loads((folder / "tuned" / "tune.json").read_text(encoding="utf-8"))
    return {"chosen_steps": choice["chosen"]["steps"], "process_s": seconds, "trials": choice["trials"]}


def sweep_one(steps: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A run with the whole budget, judged on held-out training images."""
    challenge, run = get_challenge(DATASET), folder / f"run-{steps}"
    began = time.monotonic()
    command = ["--dataset", DATASET, "--generator", GENERATOR, "--steps", str(steps), "--ipc", "none", "--no-judge"]
    subprocess.run(
        [sys.executable, "-m", "harness", *command, "--budget", str(options.budget), "--out", str(run)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    _, held_out = balanced_split(load_split(challenge, "train", None), 1.0, MAX_HELD_OUT)
    images = read_folder(run / "images", challenge).images
    score = judge(images, held_out, challenge, rounds=options.rounds, epochs=options.epochs)
    found = {
        "steps": steps,
        "ipc": len(images) / challenge.classes,
        "rounds": list(score.rounds),
        "mean": score.mean,
        "ci95": score.ci95,
        "seconds": time.monotonic() - began,
    }
    print(f"{steps} steps: IPC {found['ipc']:g}, {100 * score.mean:.2f}% in {found['seconds']:.0f} s", flush=True)
    return found


def conclude(report: dict[str, Any]) -> None:
    """Compare the choice with what the sweep has found so far."""
    best = max(report["sweep"], key=lambda found: found["mean"])
    chosen = next((found for found in report["sweep"] if found["steps"] == report["tune"]["chosen_steps"]), None)
    seconds = sum(found["seconds"] for found in report["sweep"])
    report["sweep_s"] = seconds
    report["tune_over_sweep"] = report["tune"]["process_s"] / seconds
    report["under_a_quarter"] = report["tune_over_sweep"] < QUARTER
    report["best_steps"] = best["steps"]
    if chosen and best["ci95"]:
        report["chosen_mean"] = chosen["mean"]
        report["within_interval_of_best"] = chosen["mean"] >= best["ci95"][0]


if __name__ == "__main__":
    main()
