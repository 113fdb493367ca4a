"""Settings that a user gives as `--set NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Mapping

COMPILE = "compile"


def compiles(settings: Mapping[str, str]) -> bool:
    """Whether the settings ask for compiling. Raises ValueError for a value other than yes and no."""
    told = settings.get(COMPILE, "no")
    if told not in ("yes", "no"):
        raise ValueError(f"{COMPILE} must be yes or no, not {told!r}")
    return told == "yes"


def whole_number(settings: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """The setting `name`, or `default`. Raises ValueError for anything but a whole number in [least, most]."""
    told = settings.get(name, str(default))
    try:
        value = int(told)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least:,} to {most:,}, not {told!r}")
    return value


def number(settings: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    """The setting `name`, or `default`. Raises ValueError for anything but a number in [least, most]."""
    return number_in(settings.get(name, str(default)), name, least, most)


def number_in(told: str, name: str, least: float, most: float) -> float:
    """`told` as a number. Raises ValueError for anything but one in [least, most]."""
    try:
        value = float(told)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:  # not a number is in no range
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, not {told!r}")
    return value
