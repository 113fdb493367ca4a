"""Rows, summaries and tables of a benchmark, from records made by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from evaluation.audits.audit import Audit
from evaluation.judge.score import accuracy_interval
from harness.compare.bench_page import profile, render_bench
from harness.compare.bench_plan import Cell, Plan, make_plan
from harness.compare.bench_results import Results, gather, read_row
from harness.compare.bench_tables import NARROW, markdown, narrow, ranked, table_csv
from harness.records.record import Outcome
from tests.harness.records.samples import accuracy, record

PLAN = make_plan({"generators": ["native", "gaussian"], "datasets": ["digits"], "seeds": 2, "epochs": 20})
ROUNDS = {("native", 0): (0.8, 0.82), ("native", 1): (0.9, 0.92), ("gaussian", 0): (0.7, 0.71)}


def keep(root: Path, cell: Cell, **changes: Any) -> None:
    (root / cell.folder).mkdir(parents=True)
    record(**{"generator": cell.name, "seed": cell.seed, "settings": {"ipc_cap": 2}, **changes}).save(
        root / cell.folder / "record.json"
    )


@pytest.fixture
def results(tmp_path: Path) -> Results:
    for cell in PLAN.cells():
        rounds = ROUNDS.get((cell.name, cell.seed))
        if rounds is None:
            keep(tmp_path, cell, accuracy=None, ipc=None, images=0, outcome=Outcome.CRASHED, detail="It broke")
            continue
        told: dict[str, Any] = {"rounds": rounds, "mean": sum(rounds) / 2, "ci95": accuracy_interval(rounds)}
        judged = accuracy(**told, epochs=20, judge_seed=cell.seed, preview=True)
        keep(tmp_path, cell, accuracy=judged)
    return gather(PLAN, [read_row(cell, tmp_path) for cell in PLAN.cells()], tmp_path)


def test_an_entry_is_summed_up_over_its_seeds(results: Results) -> None:
    native, gaussian = ranked(results.summaries)
    assert native.mean is not None and (native.mean.n, native.mean.unit) == (2, "seeds")
    assert native.mean.accuracy == pytest.approx(0.86)
    assert native.components is not None and native.components.between_images > native.components.within_images
    assert gaussian.mean is not None and (gaussian.mean.n, gaussian.mean.unit) == (2, "rounds")
    assert gaussian.failed == 1
    assert gaussian.outcomes == {"crashed": 1, "ok": 1} and gaussian.notes == ("It broke",)


def test_pairs_have_corrected_p_values(results: Results) -> None:
    (pair,) = results.pairs
    assert (pair.a, pair.b) == ("native", "gaussian") and pair.difference.estimate < 0


def test_what_is_left_to_do(tmp_path: Path, results: Results) -> None:
    assert all(row.done for row in results.rows), "a crash without images is done, too"
    cells = list(make_plan({"generators": ["noise"], "datasets": ["digits"], "seeds": 3}).cells())
    keep(tmp_path, cells[0], accuracy=None)
    keep(tmp_path, cells[1], accuracy=None, outcome=Outcome.INTERRUPTED, ipc=None)
    rows = [read_row(cell, tmp_path, "Error: there is no program") for cell in cells]
    assert [row.done for row in rows] == [False, False, False]
    assert rows[2].outcome == "not started" and rows[2].sentence == "there is no program"
    (tmp_path / cells[0].folder / "record.json").write_text("[]")
    damaged = read_row(cells[0], tmp_path, "Error: there is no program")
    assert damaged.outcome == "unreadable" and "is no record" in damaged.sentence and not damaged.done


def test_a_league_of_its_own_and_failed_audits_are_notes(tmp_path: Path) -> None:
    (cell,) = make_plan({"generators": ["real"], "datasets": ["digits"]}).cells()
    leak = Audit(name="leakage", status="fail", evidence="copies", numbers={"league": "copying"})
    keep(tmp_path, cell, audits=[leak])
    row = read_row(cell, tmp_path)
    assert row.copying and row.audits == ("leakage",)
    assert gather(PLAN, [row], tmp_path).summaries[0].notes == ("audit failed: leakage", "copying")


def test_tables_hold_every_run(results: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv(results.rows))))
    assert len(rows) == 4 and rows[0]["rounds"] == "0.8 0.82" and rows[0]["seed"] == "0"
    assert {row["outcome"] for row in rows} == {"ok", "crashed"}
    text = markdown(results)
    assert "| native | digits | 60 s | 86.00% |" in text and "A preview: 20 epochs" in text and "It broke" in text
    assert len(narrow(results.summaries[0])) == len(NARROW)


def test_the_page_stands_alone(results: Results) -> None:
    page = render_bench(results)
    assert page.count('<svg class="wide"') == 3 and 'src="http' not in page and 'href="http' not in page
    assert "Performance profile" in page and "It broke" in page and "86.00%" in page


def test_the_profile_counts_a_failure_as_nothing(results: Results) -> None:
    found = profile(results.rows, ["native", "gaussian"])
    assert found["native"] == [1.0, 1.0]
    assert found["gaussian"] == pytest.approx([0.705 / 0.81, 0.0])


def test_a_plan_without_results_has_a_page() -> None:
    plan: Plan = make_plan({"generators": ["noise"], "datasets": ["digits"]})
    assert "<svg" not in render_bench(gather(plan, [], Path()))
