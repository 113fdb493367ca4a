"""Read a submission, whatever form it has: a run, a folder, a `.pt` file or an `.npz` shard."""

from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.base.images import content_hash
from evaluation.base.untrusted import printable
from evaluation.formats.class_folders import label_of_folder
from evaluation.formats.decode import OnRead
from evaluation.formats.kinds import is_hidden
from evaluation.formats.shards import may_hold_images
from evaluation.submitted.class_order_file import read_order, reorder
from evaluation.submitted.folder import FolderContents, read_folder, read_shard_file, read_tensor_file
from evaluation.submitted.listing import holds_images
from evaluation.submitted.run_record import read_run


def read_submission(
    path: Path,
    challenge: Challenge,
    class_order: Path | None = None,
    on_read: OnRead = lambda done, files: None,
) -> FolderContents:
    """`read_images`; where it is a run, checked against the hash in its record.

    `class_order` is a file for `read_order`. Raises ValueError as `read_images`, or for images of another run.
    """
    contents = read_images(path, challenge, on_read)
    run = read_run(path)
    if run and run.images_hash not in (None, content_hash(contents.images)):
        raise ValueError(
            f"the images in {path} are not those that its run made; to judge them as a folder, give {path / 'images'}"
        )
    return reorder(contents, read_order(class_order, challenge)) if class_order else contents


def read_images(path: Path, challenge: Challenge, on_read: OnRead = lambda done, files: None) -> FolderContents:
    """Read a folder of class folders or shards, a run's folder with `images/`, a `.pt` file, or one `.npz` shard.

    Raises ValueError where there is nothing of that kind or it does not fit the challenge, with what to do.
    """
    if path.is_dir():
        inner = path / "images"
        if inner.is_symlink():
            raise ValueError(f"{inner} is a symbolic link; a run's images must be a folder itself")
        return read_folder(_run_images(path, challenge) if inner.is_dir() else path, challenge, on_read)
    if not path.exists():
        raise ValueError(f"{path} does not exist; give a folder of class folders, a run, a .pt file or an .npz shard")
    if path.suffix.lower() == ".pt":
        return read_tensor_file(path, challenge)
    if path.suffix.lower() == ".npz":
        return read_shard_file(path, challenge)
    raise ValueError(f"{path} is neither a folder nor a .pt or .npz file; give one of these")


def _run_images(run: Path, challenge: Challenge) -> Path:
    """`run/images`. Raises ValueError where class folders or shards stand beside it, which nobody would read."""
    try:
        beside = [entry.name for entry in run.iterdir() if entry.name != "images" and _is_images(entry, challenge)]
    except OSError as error:
        raise ValueError(f"{run} cannot be listed: {error.strerror or error}") from None
    if beside:
        raise ValueError(
            f"{run} holds images/ and {printable(min(beside))} beside it; give one of the two, or move them together"
        )
    return run / "images"


def _is_images(entry: Path, challenge: Challenge) -> bool:
    """Whether `entry` is a shard or a class folder with anything to read in it."""
    if is_hidden(entry.name, entry.is_dir()):
        return False
    if entry.suffix == ".npz":
        return may_hold_images(entry)
    try:
        label_of_folder(entry.name, challenge)
    except ValueError:
        return False
    return entry.is_dir() and holds_images(entry)
