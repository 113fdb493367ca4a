"""Settings of a generator: declared once in its `GeneratorInfo`, given by the user as `--set NAME=VALUE`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One setting.

    Attributes:
        name: as in `--set NAME=VALUE`.
        default: its value where neither the user nor the weights say another.
        range: the values that it takes, in words that follow "must be".
        help: what it does, one phrase.
        parse: the value of the user's text. Raises ValueError outside `range`, with more to say or nothing.
    """

    name: str
    default: T
    range: str
    help: str
    parse: Callable[[str], T]

    def describe(self) -> dict[str, Any]:
        """Name, default, range and help, for JSON."""
        return {"name": self.name, "default": self.default, "range": self.range, "help": self.help}


class Settings:
    """The values of a generator's settings: `settings[GUIDANCE]`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, setting: Setting[T]) -> T:
        value: T = self._values[setting.name]
        return value


def resolve_settings(
    generator: str, declared: Sequence[Setting[Any]], given: Mapping[str, str], weights: Mapping[str, Any]
) -> Settings:
    """The value of each declared setting: the user's (as text), else the weights', else the declared default.

    Raises ValueError, in the name of `generator`, for an unknown setting or a value out of range.
    """
    by_name = {setting.name: setting for setting in declared}
    values = {name: weights.get(name, setting.default) for name, setting in by_name.items()}
    for name, text in given.items():
        if name not in by_name:
            known = f"it has: {', '.join(by_name)}" if by_name else "it has none"
            raise ValueError(f"generator {generator!r} has no setting {name!r}; {known}")
        try:
            values[name] = by_name[name].parse(text)
        except ValueError as error:
            reason = f": {error}" if str(error) else ""
            message = f"generator {generator!r}: {name} must be {by_name[name].range}, not {text!r}{reason}"
            raise ValueError(message) from None
    return Settings(values)


def number(name: str, default: float, low: float, high: float, help: str) -> Setting[float]:
    """A number in [low, high]."""
    parse = partial(_in_range, float, low=low, high=high)
    return Setting(name, default, f"a number from {low:g} to {high:g}", help, parse)


def numbers(name: str, default: tuple[float, ...], low: float, high: float, help: str) -> Setting[tuple[float, ...]]:
    """Numbers in [low, high], separated by commas."""

    def parse(text: str) -> tuple[float, ...]:
        return tuple(_in_range(float, part, low=low, high=high) for part in text.split(","))

    return Setting(name, default, f"a number from {low:g} to {high:g}, or several separated by commas", help, parse)


def integer(name: str, default: int, low: int, high: int, help: str, multiple_of: int = 1) -> Setting[int]:
    """A multiple of `multiple_of` in [low, high]."""

    def parse(text: str) -> int:
        value = _in_range(int, text, low=low, high=high)
        if value % multiple_of:
            raise ValueError
        return value

    kind = "a whole number" if multiple_of == 1 else f"a multiple of {multiple_of}"
    return Setting(name, default, f"{kind} from {low:,} to {high:,}", help, parse)


def choice(name: str, default: str, values: Sequence[str], help: str) -> Setting[str]:
    """One of `values`."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError
        return text

    return Setting(name, default, f"one of {', '.join(values)}", help, parse)


def _in_range(kind: Callable[[str], Number], text: str, *, low: float, high: float) -> Number:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError from None  # the sentence of `resolve_settings` says it better
    if not low <= value <= high:  # not a number is in no range
        raise ValueError
    return value


def _parse_flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError
    return text == "yes"


COMPILE = Setting(
    "compile", False, "yes or no", "compile the networks: a slower start, and faster batches from then on", _parse_flag
)


def compiles(settings: Mapping[str, str]) -> bool:
    """Whether settings, as the user gave them and checked, ask for compiling."""
    return settings.get(COMPILE.name) == "yes"
