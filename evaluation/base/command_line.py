"""Commands from dataclasses of options, exit codes, errors as one sentence.

Each field of such a class declares its flag, help and parser beside its type:

    @dataclass(frozen=True)
    class ToyOptions(Options):
        dataset: Dataset
        sizes: Annotated[tuple[int, ...], Option(parser=parse_counts, help="Batch sizes: 32,64.")] = (32,)

    add_command(app, ToyOptions, toy)  # where `toy(options: ToyOptions) -> ExitCode` does the work

Whoever calls from Python makes an instance of the class; both get the same checks.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import MISSING, dataclass, fields
from enum import IntEnum
from errno import EACCES, EPERM, EROFS
from importlib import import_module
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from typer import Exit, Option, Typer
from typer.models import ParameterInfo

from evaluation.base.container import permission_advice
from evaluation.base.interruption import EXIT_CODE, interruptible
from evaluation.base.progress_bar import starting
from evaluation.base.untrusted import NothingToJudgeError, harmless


class ExitCode(IntEnum):
    DONE = 0
    REGRESSION = 1
    BAD_INPUT = 2
    NOTHING_TO_JUDGE = 3
    OUR_FAULT = 4
    NOT_ENOUGH_EVIDENCE = 5
    NOT_READY = 6
    INTERRUPTED = EXIT_CODE


@contextmanager
def guarded(debug: bool) -> Iterator[None]:
    """Turn an exception into a sentence on standard error and an exit code; the traceback only with `debug`.

    A warning is a sentence there too, without the line of code that gave it.
    """
    try:
        with interruptible(), warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _note  # type: ignore[assignment]
            yield
    except Exit:
        raise
    except KeyboardInterrupt:
        _fail("Interrupted.", ExitCode.INTERRUPTED, debug)
    except NothingToJudgeError as error:
        _fail(f"Error: {error}", ExitCode.NOTHING_TO_JUDGE, debug)
    except ValueError as error:
        _fail(f"Error: {error}", ExitCode.BAD_INPUT, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        refused = error.filename and error.errno in (EACCES, EPERM, EROFS)
        advice = f"; {told}" if refused and (told := permission_advice(Path(os.fsdecode(error.filename)))) else ""
        _fail(f"Error: {where}{error.strerror or error}{advice}", ExitCode.BAD_INPUT, debug)
    except Exception as error:
        sentence = (
            f"A bug in this program: {type(error).__name__}: {error}. Run again with --debug and report what it shows."
        )
        _fail(sentence, ExitCode.OUR_FAULT, debug)


def _note(message: Warning | str, *origin: object) -> None:
    """What Python calls with a warning and where it comes from."""
    sentence = str(message).strip().rstrip(".")
    print(harmless(f"Note: {sentence[:1].upper()}{sentence[1:]}."), file=sys.stderr)


def _fail(sentence: str, code: ExitCode, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(harmless(sentence), file=sys.stderr)
    raise Exit(int(code))


def parse_whole(text: str) -> int:
    """A whole number. Raises ValueError for anything else."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def parse_counts(text: str) -> tuple[int, ...]:
    """`16,4,8` as numbers of at least 1 in order, each once. Raises ValueError for anything else."""
    counts = sorted({parse_whole(part) for part in text.split(",")})
    if counts[0] < 1:
        raise ValueError(f"every number must be at least 1, not {counts[0]}")
    return tuple(counts)


def parse_folder(text: str) -> Path:
    """A folder that exists. Raises ValueError for anything else."""
    if not (folder := Path(text)).is_dir():
        raise ValueError(f"there is no folder {text}; name the one that holds the data sets")
    return folder


# what several commands take
Dataset = Annotated[str, Option(help="cifar100, tiny-imagenet or digits.")]
Device = Annotated[str, Option(help="auto, cpu or cuda.")]
Data = Annotated[
    Path | None,
    Option(parser=parse_folder, envvar="SUBMISSION_DATA", help="Folder of the real data sets. Default: the cache."),
]
Engine = Annotated[str, Option(help="The judge's engine: fast or reference.")]
Rounds = Annotated[int, Option(min=1, help="Trainings of the judge's network; fewer than 3 is a preview.")]
Epochs = Annotated[int, Option(min=1, help="Epochs of each training; fewer than 1000 is a preview.")]
JudgeSeed = Annotated[int, Option(help="Seed of the judge's rounds.")]
Strict = Annotated[bool, Option("--strict", help="A failed audit is fatal: nothing is judged, exit code 1.")]

_AS_JSON = Annotated[bool, Option("--json", help="Print one JSON object on standard output and nothing else there.")]
_DEBUG = Annotated[bool, Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class Options:
    """The options of a command. Raises ValueError for a number below what its field declares as `min`."""

    def __post_init__(self) -> None:
        for name, info in declared(type(self)).items():
            value = getattr(self, name)
            if info.min is not None and isinstance(value, int) and value < info.min:
                raise ValueError(f"{flag(name, info)} must be at least {info.min}, not {value}")


OptionsT = TypeVar("OptionsT", bound=Options)


def declared(options: type[Options]) -> dict[str, ParameterInfo]:
    """What each field of `options` declares, by the field's name, in order."""
    hints = get_type_hints(options, include_extras=True)
    return {each.name: hints[each.name].__metadata__[0] for each in fields(options)}


def flag(name: str, info: ParameterInfo) -> str:
    """The option of a field: the one it names, else its own name with dashes."""
    return info.default if isinstance(info.default, str) else "--" + name.replace("_", "-")


def add_command(
    app: Typer,
    options: type[OptionsT],
    run: Callable[..., ExitCode],
    epilog: str = "",
    output: Callable[[bool], Any] | None = None,
    loads: Sequence[str] = (),
) -> None:
    """Add `run` to `app`, under its own name and with its docstring as help; an error is one sentence and an exit code.

    Each field of `options` is an option, beside `--debug`.

    Args:
        run: called with the options, and with `output(as_json)` where there is an `output`.
        output: for a command that takes `--json`.
        loads: modules that take seconds to import, loaded before `run` is called.
    """

    def command(debug: bool, as_json: bool = False, **given: Any) -> None:
        with guarded(debug):
            with starting():
                arguments = [parsed(options, given), *([output(as_json)] if output else [])]
                for module in loads:
                    import_module(module)
            raise Exit(run(*arguments))

    parameters = _parameters(options)
    if output:
        parameters.append(_parameter("as_json", _AS_JSON, False))
    command.__signature__ = Signature([*parameters, _parameter("debug", _DEBUG, False)])  # type: ignore[attr-defined]
    app.command(run.__name__, help=run.__doc__, epilog=epilog or None)(command)


def parsed(options: type[OptionsT], given: dict[str, Any]) -> OptionsT:
    """The options as typer gave them, text parsed. Raises ValueError, naming the option, for what is not allowed."""
    values = {}
    for name, info in declared(options).items():
        value = given[name]
        if info.parser is None:
            values[name] = value
        elif value not in (None, []):  # else the field's own default stands
            try:
                values[name] = info.parser(value)
            except ValueError as error:
                raise ValueError(f"{flag(name, info)}: {error}") from None
    return options(**values)


def _parameters(options: type[Options]) -> list[Parameter]:
    """Typer's parameter of each field: of the field's own type, or of what its parser takes."""
    hints, infos, parameters = get_type_hints(options), declared(options), []
    for each in fields(options):
        info, kind, default = copy(infos[each.name]), hints[each.name], each.default
        if info.parser is not None:
            kind, default = next(iter(get_type_hints(info.parser).values())) | None, None
        info.parser = info.min = None  # ours to apply: typer would answer with a page instead of a sentence
        default = Parameter.empty if default is MISSING else default
        parameters.append(_parameter(each.name, Annotated[kind, info], default))
    return parameters


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
