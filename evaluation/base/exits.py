"""Exit codes, and how an error becomes one clear sentence and one of them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from evaluation.base.untrusted import NothingToJudgeError


class ExitCode(IntEnum):
    DONE = 0
    REGRESSION = 1
    BAD_INPUT = 2
    NOTHING_TO_JUDGE = 3
    OUR_FAULT = 4
    INTERRUPTED = 130


@contextmanager
def guarded(debug: bool) -> Iterator[None]:
    """Turn an exception into a sentence on standard error and an exit code; the traceback only with `debug`."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _fail("Interrupted.", ExitCode.INTERRUPTED, debug)
    except NothingToJudgeError as error:
        _fail(f"Error: {error}", ExitCode.NOTHING_TO_JUDGE, debug)
    except ValueError as error:
        _fail(f"Error: {error}", ExitCode.BAD_INPUT, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"Error: {where}{error.strerror or error}", ExitCode.BAD_INPUT, debug)
    except Exception as error:
        sentence = f"A fault of ours: {type(error).__name__}: {error}. Run again with --debug and report what it shows."
        _fail(sentence, ExitCode.OUR_FAULT, debug)


def _fail(sentence: str, code: ExitCode, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(sentence, file=sys.stderr)
    raise typer.Exit(int(code))
