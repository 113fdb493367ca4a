"""`python -m evaluation curve`: accuracy by IPC, of random real images or of a submission."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from typer import Option

from evaluation.base.challenge import get_challenge
from evaluation.base.command_line import Data, Dataset, Device, Engine, Epochs, ExitCode, Options, Rounds, parse_counts
from evaluation.base.durations import show_duration
from evaluation.base.files import check_writable

IPCS = (1, 2, 5, 10, 20, 50, 100, 200, 400)


@dataclass(frozen=True)
class CurveOptions(Options):
    dataset: Dataset
    out: Annotated[Path, Option(help="The JSON file; points that it holds already are not measured again.")]
    submission: Annotated[
        Path | None,
        Option("--of", help="A submission: its first images of each class. Default: random real images."),
    ] = None
    ipc: Annotated[
        tuple[int, ...],
        Option(parser=parse_counts, show_default=",".join(map(str, IPCS)), help="Images per class, comma-separated."),
    ] = IPCS
    data: Data = None
    rounds: Rounds = 3
    epochs: Epochs = 1000
    engine: Engine = "fast"
    device: Device = "auto"


def curve(options: CurveOptions) -> ExitCode:
    """Measure random real images by IPC, or a submission's; point by point, an interruption costs minutes at most."""
    from evaluation.base.cache import cache_folder
    from evaluation.base.machine import resolve_device, this_machine
    from evaluation.base.progress_bar import plain_console
    from evaluation.commands.display import judging
    from evaluation.curve.curve import Curve, CurvePoint, Supply, load_curve, measure_point, save_curve
    from evaluation.data.datasets import load_split
    from evaluation.judge.estimate import PREVIEWS, curve_seconds, estimate
    from evaluation.judge.score import check_judging
    from evaluation.submitted.reading import read_submission

    challenge, device = get_challenge(options.dataset), resolve_device(options.device)
    engine, rounds, epochs, out = options.engine, options.rounds, options.epochs, options.out
    check_judging(engine, rounds, epochs)
    check_writable(out)
    if options.submission is None:
        supply = Supply(load_split(challenge, "train", options.data), drawn=True)
    else:
        supply = Supply(read_submission(options.submission, challenge).images)
    test = load_split(challenge, "test", options.data)
    console = plain_console()
    measured = load_curve(challenge, out)
    if measured.points and measured.engine != engine:
        raise ValueError(f"{out} was measured with the {measured.engine} engine; choose another --out")
    if measured.points and measured.of != supply.of:
        raise ValueError(f"{out} holds the curve of {measured.of}, not of {supply.of}; choose another --out")
    points = {(point.ipc, point.epochs): point for point in measured.points}
    how = {"device": device, **asdict(this_machine(device))}

    def keep(point: CurvePoint) -> None:
        points[point.ipc, point.epochs] = replace(point, how=how)
        save_curve(Curve(challenge.name, tuple(points.values()), engine, supply.of), out)
        accuracies = ", ".join(f"{100 * accuracy:.2f}%" for accuracy in point.rounds)
        marked = f"{point.epochs} epochs" + (", a preview" if point.preview else "")
        console.print(f"IPC {point.ipc}, {marked}: {accuracies} ({show_duration(point.seconds)})")

    missing = {ipc: rounds - len(p.rounds if (p := points.get((ipc, epochs))) else ()) for ipc in options.ipc}
    if images := [ipc * challenge.classes for ipc, left in missing.items() for _ in range(left)]:
        expected = estimate(
            max(images),
            challenge,
            engine=engine,
            rounds=max(missing.values()),
            epochs=epochs,
            device=device,
            test_images=len(test),
        )
        whole, fewer = (curve_seconds(expected, images, count) for count in (epochs, PREVIEWS[0][0]))
        preview = f"; as a preview of {PREVIEWS[0][0]} epochs {show_duration(fewer)}" if fewer < whole / 2 else ""
        console.print(f"Rounds of {epochs:,} epochs: {len(images)}, about {show_duration(whole)} here{preview}.")
    for ipc, left in missing.items():
        if left <= 0:
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
                before=points.get((ipc, epochs)),
                on_round=keep,
                on_progress=on_progress,
            )
    return ExitCode.DONE
