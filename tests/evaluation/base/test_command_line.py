"""The command line made from dataclasses: what is parsed, what is refused, and how."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
from typer import Option, Typer
from typer.testing import CliRunner

from evaluation.base.command_line import Data, ExitCode, Options, add_command, guarded, parse_counts


def _parse_pairs(pairs: list[str]) -> dict[str, str]:
    if any("=" not in pair for pair in pairs):
        raise ValueError("one is not of the form NAME=VALUE")
    return dict(pair.split("=") for pair in pairs)


@dataclass(frozen=True)
class Toy(Options):
    name: Annotated[str, Option(help="A name.")]
    counts: Annotated[tuple[int, ...], Option("--sizes", parser=parse_counts, help="Counts.")] = ()
    settings: Annotated[dict[str, str], Option("--set", parser=_parse_pairs)] = field(default_factory=dict)
    batch_size: Annotated[int, Option(min=2, help="A number.")] = 7
    data: Data = None


def called(*arguments: str) -> tuple[Toy | None, int, str]:
    """What the command got, its exit code, and what it said on standard error."""
    app, got = Typer(), []

    def toy(options: Toy, as_json: bool) -> ExitCode:
        """Help of the toy."""
        got.append(options)
        print("done", file=sys.stderr if as_json else sys.stdout)
        return ExitCode.NOTHING_TO_JUDGE

    add_command(app, Toy, toy, output=bool)
    done = CliRunner().invoke(app, arguments, env={"SUBMISSION_DATA": ""})
    return got[0] if got else None, done.exit_code, done.stderr


def test_options_are_parsed_and_left_out_ones_keep_their_default(tmp_path: Path) -> None:
    assert called("--name", "a")[:2] == (Toy("a"), ExitCode.NOTHING_TO_JUDGE)
    given = ("--name", "a", "--sizes", "8,4", "--set", "x=1", "--set", "y=2", "--batch-size", "3")
    assert called(*given, "--data", str(tmp_path))[0] == Toy("a", (4, 8), {"x": "1", "y": "2"}, 3, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--sizes", "8,few"), "--sizes: 'few' is not a whole number"),
        (("--set", "x"), "--set: one is not of the form NAME=VALUE"),
        (("--batch-size", "1"), "--batch-size must be at least 2, not 1"),
        (("--data", "/nonexistent"), "--data: there is no folder /nonexistent"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_that_names_the_option(arguments: tuple[str, ...], sentence: str) -> None:
    got, code, told = called("--name", "a", *arguments)
    assert got is None and code == ExitCode.BAD_INPUT
    assert told.startswith(f"Error: {sentence}") and len(told.splitlines()) == 1


def test_json_keeps_standard_output_free() -> None:
    assert "done" in called("--name", "a", "--json")[2]


def test_a_warning_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded(debug=False):
        warnings.warn("no compiler, so it runs uncompiled", stacklevel=1)
    assert capsys.readouterr().err == "Note: No compiler, so it runs uncompiled.\n"
