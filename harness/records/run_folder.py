"""The folder of one run: where everything lies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """`RUN/` and what is in it."""

    root: Path

    @property
    def images(self) -> Path:
        """The output folder: `<label:03d>-<class_name>/<index:06d>.png`."""
        return self.root / "images"

    @property
    def record(self) -> Path:
        return self.root / "record.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def log(self) -> Path:
        """Everything the generator and the harness said."""
        return self.root / "log.txt"

    @property
    def job(self) -> Path:
        return self.root / "job.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def exhibit(self) -> Path:
        """What the generator had to show of how it works, where it had anything."""
        return self.root / "exhibit.json"

    @property
    def compiled(self) -> Path:
        """What the generator compiled; there only while it runs."""
        return self.root / ".compiled"

    @property
    def classes(self) -> Path:
        """Class names in label order, for a generator from outside."""
        return self.root / "classes.json"

    @property
    def class_order(self) -> Path:
        """The order that the images suggest, for `--class-order`; there only where the labels are in a wrong one."""
        return self.root / "class_order.txt"

    @property
    def telemetry(self) -> Path:
        """Samples of the card, where there is one."""
        return self.root / "telemetry.csv"

    @property
    def anytime(self) -> Path:
        """Accuracy by the seconds used, where it was measured."""
        return self.root / "anytime.json"

    @property
    def anytime_plot(self) -> Path:
        return self.root / "anytime.png"

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted judgement goes on from."""
        return self.root / "judging.ckpt"

    @property
    def baseline_checkpoint(self) -> Path:
        return self.root / "judging-real.ckpt"


def new_folder(out: Path | None, dataset: str, generator: str) -> RunFolder:
    """Make the folder of a new run, `runs/<time>-<dataset>-<generator>` unless `out` is given.

    Raises:
        ValueError: `out` exists and is not empty, or cannot be made.
    """
    if out is None:
        out = Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{dataset}-{generator}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already; choose another --out, or add --resume to go on judging what is there")
    try:
        folder = RunFolder(out.resolve())
        folder.images.mkdir(parents=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {out}: {error.strerror}; choose another --out") from None
    return folder


def existing_folder(out: Path | None) -> RunFolder:
    """The folder of a run to resume.

    Raises:
        ValueError: none is named, or it holds no record.
    """
    if out is None:
        raise ValueError("--resume needs --out, the folder of the run to go on with")
    folder = RunFolder(out.resolve())
    if not folder.record.exists():
        raise ValueError(f"{out} holds no record.json, so there is no run to resume; leave out --resume to start one")
    return folder
