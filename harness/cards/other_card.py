"""Another card's budget on this machine: how fast this machine is compared with it, and how long its budget lasts here.

The method and its error are in docs/other-cards.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from evaluation.base.durations import show_duration

HOST = "host"
# the fraction of the reference's time in which the card waits for its host: a guess, and the guess's range
HOST_FRACTION, HOST_FRACTION_RANGE = 0.1, (0.0, 0.2)
# PNG files of 32 x 32 noise that one core encodes in a second; see docs/other-cards.md
HOST_IMAGES_PER_S = 24_000.0
SHORTEST_S, LONGEST_S = 1.0, 24 * 3600.0


@dataclass(frozen=True)
class PartSpeed:
    """One part of the work: measured here, and what the reference reaches there, as published and assumed."""

    unit: str  # of `here` and `there`
    here: float
    there: float
    ratio: float  # here over there; `low` and `high` are the ends of its interval
    low: float
    high: float


@dataclass(frozen=True)
class ReferenceSpeed:
    """A speed as published, or as assumed for the host, and the fraction of it that well-made programs reach."""

    peak: float
    unit: str
    typical: float  # fraction of the peak; `lowest` to `highest` is its range
    lowest: float
    highest: float

    def compare(self, here: float) -> PartSpeed:
        """A speed measured on this machine, in the same unit and more than 0, beside this one."""
        there = self.peak * self.typical
        low, high = here / (self.peak * self.highest), here / (self.peak * self.lowest)
        return PartSpeed(self.unit, here, there, here / there, low, high)


@dataclass(frozen=True)
class ReferenceCard:
    """A card of the challenge, with a speed for each part: matmul, convolution, memory, host."""

    name: str
    title: str
    speeds: Mapping[str, ReferenceSpeed]


@dataclass(frozen=True)
class RelativeSpeed:
    """This machine's speed over the reference's; more than 1 is faster. `low` and `high` are the interval."""

    ratio: float
    low: float
    high: float
    parts: Mapping[str, PartSpeed]


def _speeds(tensor_tflops: float, memory_gbs: float) -> dict[str, ReferenceSpeed]:
    return {
        "matmul": ReferenceSpeed(tensor_tflops, "TFLOP/s", 0.90, 0.80, 1.05),  # a boost clock exceeds the nominal one
        "convolution": ReferenceSpeed(tensor_tflops, "TFLOP/s", 0.65, 0.45, 0.90),
        "memory": ReferenceSpeed(memory_gbs, "GB/s", 0.91, 0.85, 0.95),
        # The challenge does not publish its host: a desktop's core, within a factor of two.
        HOST: ReferenceSpeed(HOST_IMAGES_PER_S, "images/s", 1.0, 0.5, 2.0),
    }


# Dense half-precision tensor throughput with float32 accumulation, as PyTorch uses it, and memory bandwidth: NVIDIA's
# architecture papers "Ada" (2022) and "Ampere GA102" (2020).
CARDS = {
    "rtx4090": ReferenceCard("rtx4090", "RTX 4090", _speeds(165.2, 1008.0)),
    "rtx3090": ReferenceCard("rtx3090", "RTX 3090", _speeds(71.2, 936.0)),
}


def get_card(name: str) -> ReferenceCard:
    """Raises ValueError for a card that nothing is known of; the sentence lists those there are."""
    if name not in CARDS:
        raise ValueError(f"--as takes {' or '.join(CARDS)}, not {name!r}")
    return CARDS[name]


def relative_speed(card: ReferenceCard, measured: Mapping[str, float]) -> RelativeSpeed:
    """This machine's speed over that of `card`.

    The card's parts count alike, by their geometric mean; the host's time is added to the card's. The interval covers
    all mixtures of the card's parts, from each part's low end to its high end, and the range of the host's fraction.
    `measured` has a value for each of the card's speeds, in its unit.
    """
    parts = {name: speed.compare(measured[name]) for name, speed in card.speeds.items()}
    on_card, host = [part for name, part in parts.items() if name != HOST], parts[HOST]
    lowest, highest = min(part.low for part in on_card), max(part.high for part in on_card)
    mean = prod(part.ratio for part in on_card) ** (1 / len(on_card))
    return RelativeSpeed(
        ratio=mixture(mean, host.ratio, HOST_FRACTION),
        low=min(mixture(lowest, host.low, fraction) for fraction in HOST_FRACTION_RANGE),
        high=max(mixture(highest, host.high, fraction) for fraction in HOST_FRACTION_RANGE),
        parts=parts,
    )


def mixture(card: float, host: float, host_fraction: float) -> float:
    """The speed of work of which the host takes a fraction of the reference's time, and the card the rest."""
    return 1 / ((1 - host_fraction) / card + host_fraction / host)


def scaled_budget(budget_s: float, card: ReferenceCard, speed: RelativeSpeed) -> float:
    """How long the reference card's `budget_s` lasts here, in seconds, to the tenth.

    Raises ValueError where that is under a second or over a day; the sentence has the speeds.
    """
    scaled_s = round(budget_s / speed.ratio, 1)
    if SHORTEST_S <= scaled_s <= LONGEST_S:
        return scaled_s
    parts = ", ".join(f"{name} {part.here:.3g} of {part.there:.3g} {part.unit}" for name, part in speed.parts.items())
    limit, other = ("more than a day", "a shorter") if scaled_s > LONGEST_S else ("less than a second", "a longer")
    raise ValueError(
        f"{show_duration(budget_s)} of one {card.title} would be {show_duration(scaled_s)} here, {limit} ({parts}); "
        f"give {other} --budget, or leave out --as"
    )
