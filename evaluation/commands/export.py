"""`python -m evaluation export`: a submission as the challenge's own evaluator reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from evaluation.base.command_line import ExitCode, Options
from evaluation.base.files import check_writable
from evaluation.commands.judge import DatasetOfRun, Submission


@dataclass(frozen=True)
class ExportOptions(Options):
    submission: Submission
    out: Annotated[Path, Option(help="The .pt file to write.")]
    dataset: DatasetOfRun = None
    ipc: Annotated[int | None, Option(help="Keep this many images of each class. Default: all, equally many.")] = None


def export(options: ExportOptions) -> ExitCode:
    """Write a submission as the challenge's own evaluator reads it: class-major, normalised, float32."""
    from evaluation.base.progress_bar import plain_console
    from evaluation.formats.tensors import write_tensor
    from evaluation.submitted.reading import read_images
    from evaluation.submitted.run_record import challenge_of, read_run

    challenge = challenge_of(options.dataset, read_run(options.submission), options.submission)
    check_writable(options.out)
    images = read_images(options.submission, challenge).images
    write_tensor(options.out, images, challenge, options.ipc)
    plain_console().print(f"{options.out}: a float32 tensor, class after class, normalised")
    return ExitCode.DONE
