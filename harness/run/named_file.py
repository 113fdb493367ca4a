"""The file that `--collect` names: checked before the clock, moved into the output folder when nothing can write."""

import os
import shutil
import stat
from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.formats.field_formats import labels_beside
from evaluation.formats.tensors import tensor_name
from harness.clock.late import late_note
from harness.clock.launch import Terms, fill
from harness.run.options import RunOptions


def named_file(options: RunOptions, terms: Terms) -> Path | None:
    """Where the program is to leave its images; relative to the folder that it starts in. None without `--collect`."""
    return None if options.collect is None else Path.cwd() / fill(options.collect, terms)


def check_named_file(options: RunOptions, terms: Terms) -> None:
    """Raises ValueError for a `--collect` that names no `.pt` file, or one that is there before the program starts."""
    file = named_file(options, terms)
    if file is not None and file.suffix.lower() != ".pt":
        raise ValueError(f"--collect names {file.name}; it takes one .pt file, as torch.save writes it")
    if file is not None and os.path.lexists(file):
        raise ValueError(
            f"--collect names {file}, which is there already, so that nobody could tell who wrote it; move it away"
        )


def take_in(file: Path, output: Path, challenge: Challenge, until: float) -> str | None:
    """Move `file` into the output folder, under the challenge's own name; a sentence where it does not count.

    Args:
        until: UNIX seconds up to which a change counts.
    """
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode):
            return f"{file}, which --collect names, is no plain file"
        if status.st_ctime > until:
            return late_note(1)
        if beside := labels_beside(file):
            return f"{file.name} has its labels in {beside.name}; save both in one file, as a dict of images and labels"
        if output.is_dir() and not output.is_symlink():  # else whoever collects says what became of it
            shutil.move(file, output / tensor_name(challenge))
    except FileNotFoundError:
        return f"the program left no {file}, which --collect names"
    except OSError as error:
        return f"{file}, which --collect names, cannot be moved into the run: {error.strerror or error}"
    return None
