"""Accuracy against IPC, as a picture and a table: this project's generators, random real images, the papers.

    python -m evaluation curve --dataset cifar100 --data DATA --of RUN --ipc 45 --rounds 1 \\
        --out benchmarks/results/accuracy-cifar100-gaussian.json
    python -m benchmarks.accuracy_by_ipc --dataset cifar100

Reads every `benchmarks/results/accuracy-<dataset>-<generator>.json`, the shipped curve of real images and the figures
of the papers; writes `docs/accuracy-<dataset>.png` and prints the table in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.files import written_whole
from evaluation.curve.curve import Curve, CurvePoint, load_curve
from evaluation.curve.real_equivalent import real_equivalent
from evaluation.judge.protocol import FULL_EPOCHS
from harness.report.published import PUBLISHED, Published
from harness.report.style import OURS, PAPER, REAL, WIDE, new_figure, plain_axes, plain_number

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MARKERS = "Dsv^P"
ROOM_TO_THE_RIGHT = 200  # IPC up to which a name fits next to its marker
LONGEST_NAME = 5.0  # as a ratio of IPC, on the logarithmic axis
TOO_CLOSE = 0.01  # accuracies at the same IPC whose names would cover each other


def read_curves(challenge: Challenge, results: Path) -> dict[str, Curve]:
    """The curves of generators by name."""
    prefix = f"accuracy-{challenge.name}-"
    return {
        path.stem.removeprefix(prefix): load_curve(challenge, path) for path in sorted(results.glob(f"{prefix}*.json"))
    }


def table(ours: Mapping[str, Curve], real: Curve, published: Sequence[Published], chance: float) -> str:
    """In Markdown, from the best to the worst."""
    rows: list[tuple[float, str]] = []
    for entry in published:
        std = f" ± {100 * entry.std:.2f}" if entry.std else ""
        name = f"{entry.method}{f' ({entry.place})' if entry.place else ''}"
        about = "about " if entry.approximate else ""
        rows.append((entry.accuracy, f"| {name} | {entry.ipc:g} | {about}{100 * entry.accuracy:.2f}%{std} | paper | |"))
    for name, curve in (*((f"**`{name}`**", curve) for name, curve in ours.items()), ("random real images", real)):
        for point in curve.points:
            cells = f"| {name} | {point.ipc} | {accuracy_words(point)} | {how_words(point)} |"
            worth = "" if curve is real else worth_words(point, real, chance)
            rows.append((point.mean, f"{cells} {worth} |" if worth else f"{cells} |"))
    head = ["| images | IPC | accuracy | measured | worth, real images per class |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(line for _, line in sorted(rows, reverse=True))])


def accuracy_words(point: CurvePoint) -> str:
    """`18.14% [17.40, 18.89]`."""
    interval = f" [{100 * point.ci95[0]:.2f}, {100 * point.ci95[1]:.2f}]" if point.ci95 else ""
    return f"{100 * point.mean:.2f}%{interval}"


def worth_words(point: CurvePoint, real: Curve, chance: float) -> str:
    """Random real images per class that are worth as much, judged for as many epochs; empty where none were."""
    found = real_equivalent(point.mean, point.ci95, real.at(point.epochs), chance)
    if found is None:
        return ""
    return f"more than {found.highest:g}" if found.ipc is None else f"{found.ipc:.1f}"


def how_words(point: CurvePoint) -> str:
    """`n = 3`, and whether it is a preview: of fewer epochs, or of fewer rounds."""
    rounds = len(point.rounds)
    if not point.preview:
        return f"n = {rounds}"
    fewer = f"{point.epochs} epochs" if point.epochs < FULL_EPOCHS else f"{rounds} round{'s' * (rounds > 1)}"
    return f"n = {rounds}, preview of {fewer}"


def draw(challenge: Challenge, ours: Mapping[str, Curve], real: Curve, path: Path) -> None:
    """The picture; previews are hollow."""
    figure = new_figure(WIDE, 490, lambda figure: None)
    axes = plain_axes(figure)
    axes.set_xscale("log")
    published = PUBLISHED[challenge.name]
    for number, entry in enumerate(published):
        error = 100 * entry.std if entry.std else None
        marker = "_" if entry.approximate else "o"
        axes.errorbar(entry.ipc, 100 * entry.accuracy, yerr=error, fmt=marker, color=PAPER, markersize=5, capsize=2)
        covered = any(
            1 < point.ipc / entry.ipc < LONGEST_NAME and abs(point.mean - entry.accuracy) < TOO_CLOSE
            for curve in (real, *ours.values())
            for point in curve.points
        )
        right = entry.ipc < ROOM_TO_THE_RIGHT and not covered
        hidden = any(
            entry.ipc == other.ipc and abs(entry.accuracy - other.accuracy) < TOO_CLOSE for other in published[:number]
        )
        axes.annotate(
            entry.method,
            (entry.ipc, 100 * entry.accuracy),
            (6 if right else -6, 7 if hidden else -2),
            textcoords="offset points",
            ha="left" if right else "right",
            fontsize=11,
            color=PAPER,
        )
    for marker, (name, curve) in zip("o" + MARKERS, [("random real images", real), *ours.items()], strict=False):
        colour = REAL if curve is real else OURS
        all_epochs = sorted({point.epochs for point in curve.points}, reverse=True)
        brief = [epochs for epochs in all_epochs if epochs < FULL_EPOCHS]
        for epochs in all_epochs:
            points = curve.at(epochs)
            whole = epochs >= FULL_EPOCHS
            ends = [point.ci95 or (point.mean, point.mean) for point in points]
            means = [100 * point.mean for point in points]
            axes.errorbar(
                [point.ipc for point in points],
                means,
                yerr=[
                    [mean - 100 * low for mean, (low, _) in zip(means, ends, strict=True)],
                    [100 * high - mean for mean, (_, high) in zip(means, ends, strict=True)],
                ],
                fmt=f"-{marker}",
                color=colour,
                markerfacecolor=colour if whole else "white",
                markersize=6 if whole else max(6 - 2 * brief.index(epochs), 2),  # the briefer, the smaller
                linewidth=1.4,
                capsize=3,
                zorder=5,
                label=name if whole else f"{name}, preview of {epochs} epochs",
            )
    axes.plot([], [], "o", color=PAPER, label="published", markersize=5)
    figure.legend(frameon=False, fontsize=11, loc="outside lower center", ncols=2)
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.9), high)
    axes.set_xlabel("images per class (IPC)")
    axes.set_ylabel(f"test accuracy on {challenge.title}, %")
    axes.xaxis.set_major_formatter(plain_number)
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=110, facecolor="white")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the curves")
    parser.add_argument("--out", type=Path, help="the picture; default: docs/accuracy-<dataset>.png")
    options = parser.parse_args()
    challenge = get_challenge(options.dataset)
    ours, real = read_curves(challenge, options.results), load_curve(challenge)
    print(table(ours, real, PUBLISHED[challenge.name], challenge.chance))
    draw(challenge, ours, real, options.out or ROOT / "docs" / f"accuracy-{challenge.name}.png")


if __name__ == "__main__":
    main()
