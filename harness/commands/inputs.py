"""Option values as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import parse_duration
from submission.classes.prompts import prompts_setting, read_prompts


def parse_ipc(text: str | None) -> int | Literal["none"] | None:
    """`none` or a whole number; None stays None.

    Raises:
        ValueError: neither.
    """
    if text is None or text == "none":
        return "none" if text else None
    return _whole(text, "--ipc takes a whole number, or `none` for as many as the clock allows")


def parse_steps(text: str) -> int | None:
    """`auto` as None, or a whole number.

    Raises:
        ValueError: neither.
    """
    return None if text == "auto" else _whole(text, "--steps takes `auto` or a whole number")


def parse_moments(text: str | None) -> tuple[float, ...] | None:
    """`60,120,5m` as seconds; None stays None.

    Raises:
        ValueError: a part of it is no duration.
    """
    return None if text is None else tuple(parse_duration(part) for part in text.split(","))


def parse_tried(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`NAME=VALUE,VALUE` pairs.

    Raises:
        ValueError: a pair without `=`, a name or a value twice.
    """
    tried = {name: tuple(values.split(",")) for name, values in parse_settings(pairs, "--try").items()}
    for name, values in tried.items():
        if len(set(values)) < len(values):
            raise ValueError(f"--try {name} names a value twice")
    return tried


def parse_settings(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
    """`NAME=VALUE` pairs.

    Raises:
        ValueError: a pair without `=`, or a name twice.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"{option} takes NAME=VALUE, not {pair!r}")
        if name in settings:
            raise ValueError(f"{option} {name} is given twice")
        settings[name] = value
    return settings


def with_prompts(settings: Mapping[str, str], file: Path | None, dataset: str) -> dict[str, str]:
    """`settings` with the prompts in `file`, the value of --prompts, as the generator's setting of that name.

    Raises:
        ValueError: they do not fit, or stand among the settings already.
    """
    if file is None:
        return dict(settings)
    if "prompts" in settings:
        raise ValueError("--prompts and --set prompts exclude each other; give one of them")
    challenge = get_challenge(dataset)
    return {**settings, "prompts": prompts_setting(read_prompts(file, challenge), challenge)}


def _whole(text: str, takes: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{takes}, not {text!r}") from None
