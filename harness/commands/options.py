"""A command from a dataclass of options: one typer parameter a field, parsed, checked and given to a function."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from evaluation.base.exits import ExitCode, guarded
from harness.run.options import Options, declared, flag

if TYPE_CHECKING:
    from harness.report.console import Voice

OptionsT = TypeVar("OptionsT", bound=Options)

AS_JSON = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")
]
DEBUG = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def add_command(
    app: typer.Typer, options: type[OptionsT], run: Callable[[OptionsT, Voice], ExitCode], epilog: str = ""
) -> None:
    """Add `run` to `app`, under its own name and with its docstring as help.

    Each field of `options` is an option, beside `--json` and `--debug`. An error becomes one sentence and an exit code.
    """

    def command(as_json: bool, debug: bool, **given: Any) -> None:
        with guarded(debug):
            from harness.report.console import Voice

            raise typer.Exit(run(parsed(options, given), Voice(as_json)))

    common = [_parameter("as_json", AS_JSON, False), _parameter("debug", DEBUG, False)]
    command.__signature__ = Signature([*map(_parameter_of(options), fields(options)), *common])  # type: ignore[attr-defined]
    app.command(run.__name__, help=run.__doc__, epilog=epilog or None)(command)


def parsed(options: type[OptionsT], given: dict[str, Any]) -> OptionsT:
    """The options as typer gave them, the text of those with a parser parsed.

    Raises:
        ValueError: a value that cannot be had; the sentence names its option.
    """
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


def _parameter_of(options: type[Options]) -> Callable[[Field[Any]], Parameter]:
    """What makes typer's parameter of a field: the field's own type, or what its parser takes."""
    hints = get_type_hints(options)

    def parameter(each: Field[Any]) -> Parameter:
        info, kind, default = copy(declared(options)[each.name]), hints[each.name], each.default
        if info.parser is not None:
            kind, default = next(iter(get_type_hints(info.parser).values())) | None, None
        info.parser = info.min = None  # ours to apply: typer would answer with a page instead of a sentence
        return _parameter(each.name, Annotated[kind, info], Parameter.empty if default is MISSING else default)

    return parameter


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
