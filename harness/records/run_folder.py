"""The folder of one run: where everything lies."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from errno import EACCES, EPERM, EROFS
from pathlib import Path

from evaluation.base.container import permission_advice
from evaluation.base.files import claimed

# record, report with its pictures, class order and log, generously
RESERVE_BYTES = 4 << 20


class RunFolder:
    """`RUN/` and the paths in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # the output folder: `<label:03d>-<class_name>/<index:06d>.png`
        self.images = root / "images"
        self.record = root / "record.json"
        self.report = root / "report.html"
        # everything that the generator and the harness printed
        self.log = root / "log.txt"
        self.job = root / "job.json"
        self.events = root / "events.jsonl"
        # how the clock ended, from the moment at which nothing of the generator is left until its images are counted
        self.generation = root / ".generation.json"
        # what the generator has to show of how it works, where it has anything
        self.exhibit = root / "exhibit.json"
        # what the generator compiled; only while it runs
        self.compiled = root / ".compiled"
        # class names in label order, for a generator from outside
        self.classes = root / "classes.json"
        # the order that the images suggest, for `--class-order`; only where the labels are in a wrong one
        self.class_order = root / "class_order.txt"
        # samples of the GPUs, where there are any
        self.telemetry = root / "telemetry.csv"
        # accuracy over time, where it was measured
        self.anytime = root / "anytime.json"
        self.anytime_plot = root / "anytime.png"
        # where an interrupted judgement resumes
        self.checkpoint = root / "judging.ckpt"
        self.baseline_checkpoint = root / "judging-real.ckpt"
        # scores of random real images that another machine has judged for this run, named as in the cache
        self.baselines = root / ".baselines"
        # room for record and report, whatever the generator fills; only while it runs
        self.reserve = root / ".reserve"

    def round_checkpoint(self, index: int) -> Path:
        """Where a round that is trained apart from the others is kept until they are joined."""
        return self.root / f"judging-{index}.ckpt"

    def round_checkpoints(self) -> list[Path]:
        """Those that are there."""
        return sorted(self.root.glob("judging-[0-9]*.ckpt"))

    def reserve_room(self) -> None:
        """Keep room on the disk for what is written after the clock; none where the file system gives none."""
        with suppress(OSError), self.reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, min(RESERVE_BYTES, shutil.disk_usage(self.root).free // 8))

    def free_room(self) -> None:
        """Give back what `reserve_room` kept."""
        with suppress(OSError):
            self.reserve.unlink()


def write_or_rescue(path: Path, write: Callable[[Path], object], say: Callable[[str], None]) -> Path:
    """`write(path)`, or what it writes into a new folder for temporary files where that cannot be done any more.

    Returns the path that was written to. Raises ValueError where neither can be.
    """
    try:
        write(path)
        return path
    except OSError as error:
        why = error.strerror or str(error)
    try:
        rescued = Path(tempfile.mkdtemp(prefix=f"{path.parent.name}-")) / path.name
        write(rescued)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written ({why}), nor can a temporary file ({error.strerror or error}); make room and"
            " set TMPDIR to a folder that can be written"
        ) from None
    with suppress(OSError):  # what stands there tells of the time before
        path.unlink()
    say(f"{path} cannot be written ({why}); it is {rescued} instead.")
    return rescued


def new_folder(out: Path | None, dataset: str, generator: str) -> RunFolder:
    """Make the folder of a new run, `runs/<time>-<dataset>-<generator>` unless `out` is given.

    Raises:
        ValueError: `out` exists and is not empty, or cannot be made.
    """
    if out is None:
        out = Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{dataset}-{generator}"
    refuse_existing(out)
    try:
        folder = RunFolder(out.resolve())
        folder.images.mkdir(parents=True)
    except OSError as error:
        advice = permission_advice(out) if error.errno in (EACCES, EPERM, EROFS) else ""
        told = f"cannot make the folder {out.absolute()}: {error.strerror}; {advice or 'choose another --out'}"
        raise ValueError(told) from None
    return folder


def refuse_existing(out: Path) -> None:
    """Raises ValueError where `out` exists and is not an empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already; choose another --out, or add --resume to judge what is in it")


@contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """Inside, no other harness works in the folder. Raises ValueError where one does."""
    with claimed(folder.root) as free:
        if not free:
            raise ValueError(f"another harness is at work in {folder.root}; wait until it has ended, then use --resume")
        yield


def clear(folder: RunFolder) -> None:
    """Remove a run that is made again. Raises ValueError where what is there is no run, or one that is being made."""
    if not folder.root.exists():
        return
    begun = folder.record.exists() or folder.log.exists()
    files = (path for path in folder.root.rglob("*") if not path.is_dir() and path != folder.reserve)
    if not begun and any(files):  # without any, it was killed before it had a log, or there is nothing to lose
        raise ValueError(f"{folder.root} holds no run, and is in the way of one; move it, or choose another --out")
    with held(folder):
        shutil.rmtree(folder.root)


def existing_folder(out: Path | None) -> RunFolder:
    """The folder of a run to resume. Raises ValueError where none is named, or it holds no record."""
    if out is None:
        raise ValueError("--resume needs --out, the folder of the run to resume")
    folder = RunFolder(out.resolve())
    if not folder.record.exists():
        raise ValueError(f"{out} holds no record.json, so there is no run to resume; leave out --resume to start one")
    return folder
