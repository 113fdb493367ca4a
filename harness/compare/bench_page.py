"""A benchmark as one self-contained page: table, accuracy by IPC and by seconds, performance profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evaluation.base.challenge import get_challenge
from evaluation.curve.curve import load_curve
from harness.compare.bench_results import Results, Row
from harness.compare.bench_tables import (
    COLUMNS,
    cells_of,
    component_sentences,
    pair_sentences,
    preview_sentence,
    ranked,
)
from harness.report.page import render_page
from harness.report.sentences import percent
from harness.report.style import (
    DEADLINE,
    FOURTH,
    HALF,
    INK,
    OURS,
    PAPER,
    REAL,
    TEXT,
    accuracy_point,
    chart,
    plain_axes,
    plain_number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (OURS, PAPER, FOURTH, DEADLINE, "#3a9088", "#8a7530", "#d0569b", INK)
HEIGHT = 300
MARKERS = "oDs^vPX*"


def render_bench(results: Results) -> str:
    """The page of a benchmark."""
    charts = []
    names = [entry.title for entry in results.plan.generators]
    for dataset in results.plan.datasets:
        of = [row for row in results.rows if row.dataset == dataset and row.accuracy]
        if of:
            title = get_challenge(dataset).title
            charts.append((f"{title}: accuracy by images per class", ipc_chart(of, names)))
            charts.append((f"{title}: accuracy by seconds used", seconds_chart(of, names)))
    if len(names) > 1 and any(row.accuracy for row in results.rows):
        charts.append(("Performance profile", profile_chart(results.rows, names)))
    summaries = ranked(results.summaries)
    return render_page(
        "bench.html",
        title="Benchmark",
        columns=COLUMNS,
        rows=[cells_of(each) for each in summaries],
        charts=charts,
        about=_about(results),
        notes=[f"{each.name} ({each.dataset}): {note}" for each in summaries for note in each.notes],
        sentences=[*component_sentences(summaries), *pair_sentences(results.pairs)],
        runs=[_run_cells(row) for row in results.rows],
    )


def _about(results: Results) -> str:
    plan = results.plan
    return (
        f"{len(results.rows)} runs: {len(plan.generators)} entries, {len(plan.datasets)} data sets,"
        f" {len(plan.seed_numbers)} seeds; rounds: {plan.rounds}, {plan.epochs:,} epochs. {preview_sentence(plan)}"
    )


def _percent(row: Row) -> str:
    return percent(row.accuracy.mean if row.accuracy else None)


def _run_cells(row: Row) -> tuple[str, ...]:
    used = "–" if row.used_s is None else f"{row.used_s:.1f} s"
    return row.name, row.dataset, f"{row.budget_s:g} s", str(row.seed), _percent(row), used, row.outcome, row.folder


def ipc_chart(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Every run, beside random real images judged with as many epochs."""
    score, challenge = rows[0].accuracy, get_challenge(rows[0].dataset)
    curve = load_curve(challenge).at(score.epochs) if score else []
    beside = sorted({(row.ipc, row.baseline) for row in rows if row.ipc is not None and row.baseline is not None})
    ipc = [row.ipc for row in rows if row.ipc is not None]

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        axes.set_xscale("log")
        axes.set_xlim(0.5 * min(ipc), 2 * max(ipc))  # first: limits cannot be found from points at a single IPC
        if curve:
            points = ([point.ipc for point in curve], [100 * point.mean for point in curve])
            axes.plot(*points, "-", color=REAL, linewidth=1.5, label="random real images")
        if beside:
            places = ([x for x, _ in beside], [100 * y for _, y in beside])
            axes.plot(*places, "_", color=REAL, markersize=12, label="random real images, one round")
        _points(axes, rows, names, lambda row: row.ipc)
        axes.xaxis.set_major_formatter(plain_number)
        axes.minorticks_off()
        axes.set_xlabel("images per class (IPC)")

    return chart(f"Accuracy on {challenge.title} by images per class", draw, HALF, HEIGHT)


def seconds_chart(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Every run against the seconds of its budget that it used."""

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        _points(axes, rows, names, lambda row: row.used_s)
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds from process start to the generator's end")

    return chart(f"Accuracy on {get_challenge(rows[0].dataset).title} by seconds used", draw, HALF, HEIGHT)


def profile_chart(rows: Sequence[Row], names: Sequence[str]) -> str:
    """For each entry the fraction of tasks on which it has at least so much of the best entry's accuracy."""
    found = profile(rows, names)
    lowest = min(share for shares in found.values() for share in shares if share > 0)

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        for number, (name, shares) in enumerate(found.items()):
            ratios = np.sort(np.array(shares))[::-1]
            heights = np.arange(1, len(ratios) + 1) / len(ratios)
            x, y = np.concatenate([[1.0], ratios, [0.0]]), np.concatenate([[0.0], heights, [heights[-1]]])
            axes.step(100 * x, 100 * y, where="post", color=COLOURS[number % len(COLOURS)], label=name, linewidth=1.8)
        axes.set_xlim(101, min(100 * lowest - 2, 90))  # failures are beyond
        axes.set_ylim(0, 103)
        axes.set_xlabel("at least so many % of the best accuracy")
        axes.set_ylabel("of the tasks, %")
        axes.legend(frameon=False, fontsize=TEXT)

    return chart("The share of tasks on which an entry comes so close to the best", draw, HALF, HEIGHT)


def profile(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[float]]:
    """For each entry its accuracy over the best one's on every task, 0 where it failed."""
    tasks: dict[tuple[str, float, int], dict[str, float]] = {}
    for row in rows:
        of = tasks.setdefault((row.dataset, row.budget_s, row.seed), {})
        of[row.name] = row.accuracy.mean if row.accuracy else 0.0
    judged = [of for of in tasks.values() if max(of.values()) > 0]
    return {name: [of.get(name, 0.0) / max(of.values()) for of in judged] for name in names}


def _points(axes: Axes, rows: Sequence[Row], names: Sequence[str], place: Callable[[Row], float | None]) -> None:
    for number, name in enumerate(names):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        for row in rows:
            x = place(row)
            if row.name == name and row.accuracy and x is not None:
                accuracy_point(axes, x, row.accuracy, colour, marker, f"{name}, seed {row.seed}: {_percent(row)}")
        if any(row.name == name for row in rows):
            axes.plot([], [], marker, color=colour, label=name, markersize=6)
    preview = any(row.accuracy is not None and row.accuracy.preview for row in rows)
    axes.set_ylabel("test accuracy, %" + (" (preview)" if preview else ""))
    axes.legend(frameon=False, fontsize=TEXT)
