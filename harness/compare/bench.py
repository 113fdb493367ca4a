"""A benchmark: every run that is not done yet, its results after each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.base.files import write_text
from evaluation.base.machine import this_machine
from harness.compare.bench_page import render_bench
from harness.compare.bench_plan import Cell, Plan
from harness.compare.bench_results import UNREADABLE, Results, Row, gather, read_row
from harness.compare.bench_tables import markdown, table_csv
from harness.compare.engines.engine import Done, Engine, RunTask, last_line
from harness.records.run_folder import RunFolder, clear

RUNS, LOGS = "runs", "logs"
# of the time, at most, that may go into writing the results of thousands of runs
_WRITING_SHARE = 0.1


def bench(
    plan: Plan, root: Path, engine: Engine, shared: Sequence[str], on_row: Callable[[Row, int, int], None]
) -> Results:
    """Make every run of the plan that `root` does not hold yet, and write the results there, also on the way.

    A run that was interrupted while it was judged goes on; one that was interrupted before starts again, as a clock
    cannot go on. A failure is a row.

    Args:
        shared: options of all runs: data, device.
        on_row: called with each row that is done, how many are, and of how many.

    Raises:
        ValueError: `root` is no folder, what is in the place of a run is none that can be read, or another harness is
            at work in it.
    """
    cells = list(plan.cells())
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root} is no folder; choose another --out")
    for folder in (root / RUNS, root / LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    rows = {cell: read_row(cell, root / RUNS, _said(root, cell)) for cell in cells}
    for row in rows.values():
        if row.outcome == UNREADABLE:
            raise ValueError(f"{row.sentence}; move it, or choose another --out")
    waiting = {cell.folder: cell for cell in cells if not rows[cell].done}
    tasks = [_task(cell, rows[cell], root, shared) for cell in waiting.values()]

    write_again = 0.0

    def finished(done: Done) -> None:
        nonlocal write_again
        cell = waiting.pop(done.task.name)
        rows[cell] = read_row(cell, root / RUNS, done.said)
        if (began := time.monotonic()) >= write_again:
            write_results(_results(plan, [rows[each] for each in cells if each.folder not in waiting], root), root)
            write_again = time.monotonic() + (time.monotonic() - began) / _WRITING_SHARE
        on_row(rows[cell], len(cells) - len(waiting), len(cells))

    engine.run(tasks, finished)
    results = _results(plan, list(rows.values()), root)
    write_results(results, root)
    return results


def _results(plan: Plan, rows: Sequence[Row], root: Path) -> Results:
    return gather(plan, rows, root / RUNS)


def _said(root: Path, cell: Cell) -> str:
    log = _log(root, cell)
    return last_line(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else ""


def _log(root: Path, cell: Cell) -> Path:
    return root / LOGS / f"{cell.folder}.txt"


def _task(cell: Cell, row: Row, root: Path, shared: Sequence[str]) -> RunTask:
    """The run of a cell: a new one, or one that goes on with what was generated."""
    run = root / RUNS / cell.folder
    if not row.goes_on:
        clear(RunFolder(run))
    return RunTask(
        name=cell.folder,
        dataset=cell.dataset,
        options=(*cell.arguments(), *shared),
        judging=(*cell.judging, *shared),
        rounds=cell.rounds,
        folder=Path(os.path.abspath(run)),  # noqa: PTH100 - links stay as they are
        goes_on=row.goes_on,
        log=_log(root, cell),
    )


def write_results(results: Results, root: Path) -> None:
    """`bench.json`, `bench.csv`, `bench.md` and `bench.html`, each whole or not at all."""
    write_text(root / "bench.json", json.dumps(as_json(results), indent=1) + "\n")
    write_text(root / "bench.csv", table_csv(results.rows))
    write_text(root / "bench.md", markdown(results))
    write_text(root / "bench.html", render_bench(results))


def as_json(results: Results) -> dict[str, Any]:
    """Everything, as fractions and seconds; intervals and p-values beside what they follow from."""
    pairs = [{**asdict(pair), "ci95": pair.difference.ci95, "p": pair.difference.p} for pair in results.pairs]
    return {
        "schema": 1,
        "plan": results.plan.model_dump(mode="json"),
        "summaries": [asdict(each) for each in results.summaries],
        "pairs": pairs,
        "runs": [asdict(row) for row in results.rows],
        "machine": asdict(this_machine()),
    }
