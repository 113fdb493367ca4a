"""`python -m evaluation audit`: the audits alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from evaluation.base.command_line import Data, ExitCode, Options, Strict
from evaluation.base.files import check_writable
from evaluation.commands.judge import ClassOrder, DatasetOfRun, Submission


@dataclass(frozen=True)
class AuditOptions(Options):
    submission: Submission
    dataset: DatasetOfRun = None
    data: Data = None
    class_order: ClassOrder = None
    write_class_order: Annotated[
        Path | None, Option(help="Write the class order that the images suggest to this file.")
    ] = None
    strict: Strict = False


def audit(options: AuditOptions, as_json: bool) -> ExitCode:
    """Run every audit on a submission: class order, leakage, copies, diversity, balance, pixels, files."""
    import numpy as np

    from evaluation.audits.run import run_audits
    from evaluation.base.progress_bar import plain_console
    from evaluation.commands.display import any_failed, auditing, loading, reading, result, show_audits
    from evaluation.data.datasets import load_split
    from evaluation.submitted.class_order_file import write_order
    from evaluation.submitted.reading import read_submission
    from evaluation.submitted.run_record import challenge_of, read_run

    challenge = challenge_of(options.dataset, read_run(options.submission), options.submission)
    if options.write_class_order is not None:
        check_writable(options.write_class_order)
    console = plain_console(stderr=as_json)
    with reading(console) as on_read:
        contents = read_submission(options.submission, challenge, options.class_order, on_read)
    with loading(console, challenge, options.data):
        train, test = load_split(challenge, "train", options.data), load_split(challenge, "test", options.data)
    with auditing(console) as on_audit:
        audits = run_audits(contents, challenge, train, test, on_audit)
    if as_json:
        print(json.dumps(result(challenge, contents, audits), indent=2))
    show_audits(console, audits)
    order = next((audit.numbers["order"] for audit in audits if "order" in audit.numbers), None)
    if options.write_class_order is not None:
        write_order(options.write_class_order, np.array(order or range(challenge.classes), np.int64), challenge)
        told = "The order that the images suggest" if order else "No other order is suggested: the one as given"
        console.print(f"{told} is in {options.write_class_order}; judge with --class-order.")
    return ExitCode.REGRESSION if options.strict and any_failed(audits) else ExitCode.DONE
