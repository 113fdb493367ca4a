"""Options of the trainings: declared as fields of dataclasses, parsed into them once."""

from __future__ import annotations

import argparse
import operator
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import torch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def option(
    explanation: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    choices: Iterable[str] | None = None,
    flag: str | None = None,
) -> dict[str, Any]:
    """Metadata that makes a dataclass's field an option; bool, int, float, str, Path, a Literal of strings or a tuple.

    Args:
        explanation: what `--help` says of it.
        above, at_least, at_most: range of a number, for `check_ranges`.
        choices: of a string; read when the parser is built.
        flag: as the user writes it; None for the field's name.
    """
    limits = ((operator.gt, "above", above), (operator.ge, "at least", at_least), (operator.le, "at most", at_most))
    return {"help": explanation, "limits": limits, "choices": choices, "flag": flag}


def add_options(parser: argparse.ArgumentParser, kind: type[DataclassInstance], otherwise: str | None = None) -> None:
    """One option per field of `kind` with `option`'s metadata; `otherwise` says in words where defaults come from."""
    hints = get_type_hints(kind)
    for each in fields(kind):
        if "flag" not in each.metadata:
            continue
        text, flag = each.metadata["help"], each.metadata["flag"] or "--" + each.name.replace("_", "-")
        hint = hints[each.name]
        if isinstance(hint, UnionType):
            (hint,) = (part for part in get_args(hint) if part is not NoneType)
        if hint is bool:
            action = argparse.BooleanOptionalAction if otherwise else "store_true"
            parser.add_argument(flag, dest=each.name, action=action, default=None, help=text)
            continue
        choices = get_args(hint) if get_origin(hint) is Literal else each.metadata["choices"]
        if otherwise or each.default not in (MISSING, None):
            text += f"; default: {otherwise or each.default}"
        required = not otherwise and each.default is MISSING and each.default_factory is MISSING
        several = get_origin(hint) is tuple
        parser.add_argument(
            flag,
            dest=each.name,
            type=get_args(hint)[0] if several else str if choices else hint,
            nargs="+" if several else None,
            choices=choices,
            required=required,
            help=text,
        )


def given(args: argparse.Namespace, kind: type[DataclassInstance]) -> dict[str, Any]:
    """The values of the options of `kind` that the user gave, by the names of the fields."""
    values = {each.name: getattr(args, each.name) for each in fields(kind) if "flag" in each.metadata}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return {name: value for name, value in values.items() if value is not None}


def check_ranges(settings: DataclassInstance) -> None:
    """Raises ValueError where a number is out of the range that its option has."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        for fits, words, limit in each.metadata.get("limits", ()):
            if limit is not None and not fits(value, limit):
                raise ValueError(f"--{each.name.replace('_', '-')} must be {words} {limit:g}, not {value}")


def _default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What to train for, from which data, and where."""

    dataset: str = field(metadata=option("name of the challenge to train for"))
    data: Path | None = field(
        default=None, metadata=option("folder of the real data sets; default: $SUBMISSION_DATA or the cache")
    )
    device: str = field(
        default_factory=_default_device, metadata=option("default: cuda where there is a GPU, else cpu")
    )


@dataclass(frozen=True, kw_only=True)
class SessionOptions(DataOptions):
    """The options that every training in pieces has."""

    out: Path | None = field(default=None, metadata=option("folder for everything written; default: runs/VERB-DATASET"))
    minutes: float | None = field(
        default=None, metadata=option("end this session after so many minutes, to go on later with --resume")
    )
    seed: int = field(default=0, metadata=option("of everything random"))
    resume: bool = field(default=False, metadata=option("go on from the checkpoint in --out"))
