"""`python -m evaluation curve`: accuracy by IPC, of random real images or of a submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.device import resolve_device
from evaluation.base.durations import show_duration
from evaluation.base.files import check_writable
from evaluation.base.machine import this_machine
from evaluation.base.progress_bar import plain_console
from evaluation.commands.commands import read_submission
from evaluation.commands.display import judging
from evaluation.curve.curve import Curve, CurvePoint, Supply, load_curve, measure_point, save_curve
from evaluation.data.datasets import cache_folder, data_folder, load_split
from evaluation.judge.estimate import PREVIEWS, curve_seconds, estimate
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from evaluation.judge.score import check_judging


def measure_curve(
    submission: Path | None,
    dataset: str,
    out: Path,
    ipcs: str,
    data: Path | None,
    *,
    rounds: int,
    epochs: int,
    device: str,
    engine: str,
) -> None:
    """Measure the points of a curve that `out` does not hold yet. Raises ValueError for bad input.

    Args:
        submission: whose images; None for random real ones.
    """
    challenge, device = get_challenge(dataset), resolve_device(device)
    check_judging(engine, rounds, epochs)
    check_writable(out)
    wanted = whole_numbers(ipcs)
    folder = data_folder(data)
    if submission is None:
        supply = Supply(load_split(challenge, "train", folder), drawn=True)
    else:
        supply = Supply(read_submission(submission, challenge, None).images)
    test = load_split(challenge, "test", folder)
    console = plain_console()
    before_this = load_curve(challenge, out)
    if before_this.points and before_this.engine != engine:
        raise ValueError(f"{out} was measured with the {before_this.engine} engine; choose another --out")
    if before_this.points and before_this.of != supply.of:
        raise ValueError(f"{out} holds the curve of {before_this.of}, not of {supply.of}; choose another --out")
    points = {(point.ipc, point.epochs): point for point in before_this.points}

    how = {"device": device, **asdict(this_machine(device))}

    def keep(point: CurvePoint) -> None:
        points[point.ipc, point.epochs] = replace(point, how=how)
        save_curve(Curve(challenge.name, tuple(points.values()), engine, supply.of), out)
        accuracies = ", ".join(f"{100 * accuracy:.2f}%" for accuracy in point.rounds)
        marked = f"{point.epochs} epochs" + (", a preview" if epochs < FULL_EPOCHS or rounds < FULL_ROUNDS else "")
        console.print(f"IPC {point.ipc}, {marked}: {accuracies} ({show_duration(point.seconds)})")

    missing = {ipc: rounds - len(point.rounds if (point := points.get((ipc, epochs))) else ()) for ipc in wanted}
    if ahead := [ipc * challenge.classes for ipc, left in missing.items() for _ in range(left)]:
        told = _ahead(
            ahead,
            challenge,
            rounds=max(missing.values()),
            epochs=epochs,
            engine=engine,
            device=device,
            test_images=len(test),
        )
        console.print(told)
    for ipc in wanted:
        before = points.get((ipc, epochs))
        if before and len(before.rounds) >= rounds:
            console.print(f"IPC {ipc}, {epochs} epochs: done before")
            continue
        with judging(console, f"{supply.of}, IPC {ipc}") as on_progress:
            measure_point(
                ipc,
                supply,
                test,
                challenge,
                rounds=rounds,
                epochs=epochs,
                device=device,
                engine=engine,
                checkpoints=cache_folder() / "curve",
                before=before,
                on_round=keep,
                on_progress=on_progress,
            )


def _ahead(
    images: Sequence[int], challenge: Challenge, *, rounds: int, epochs: int, engine: str, device: str, test_images: int
) -> str:
    """How long rounds on so many images each will take, in a sentence."""
    most = max(images)
    expected = estimate(
        most, challenge, engine=engine, rounds=rounds, epochs=epochs, device=device, test_images=test_images
    )
    brief = PREVIEWS[0][0]
    whole, fewer = (curve_seconds(expected, images, count) for count in (epochs, brief))
    told = f"Rounds of {epochs:,} epochs: {len(images)}, about {show_duration(whole)} here"
    return f"{told}; as a preview of {brief} epochs {show_duration(fewer)}." if fewer < whole / 2 else f"{told}."


def whole_numbers(text: str) -> list[int]:
    """`1,2,5` as numbers, each at least 1. Raises ValueError."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise ValueError(f"--ipc takes whole numbers above 0, separated by commas, not {text!r}")
    return numbers
