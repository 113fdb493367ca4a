"""Another card's budget on this one: how fast this card is beside it, and how long its budget lasts here.

The method and its error are in docs/other-cards.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from evaluation.base.durations import show_duration

HOST = "host"
# The part of the reference's time that its host takes while the card waits: a guess, and the guess's range.
HOST_SHARE, HOST_SHARE_RANGE = 0.1, (0.0, 0.2)
# PNG files of 32 x 32 noise that one core encodes in a second; see docs/other-cards.md
HOST_IMAGES_PER_S = 24_000.0
SHORTEST_S, LONGEST_S = 1.0, 24 * 3600.0


@dataclass(frozen=True)
class Figure:
    """One published figure, and what part of it programs reach.

    Attributes:
        peak: as published, or as assumed for the host.
        unit: of `peak` and of what is measured.
        reached, least, most: what part of the peak well-made programs reach: usually, and at the ends.
    """

    peak: float
    unit: str
    reached: float
    least: float
    most: float


@dataclass(frozen=True)
class ReferenceCard:
    """A card of the challenge; `figures` by part: matmul, convolution, memory, host."""

    name: str
    title: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class PartSpeed:
    """One part of the work, here and there.

    Attributes:
        unit: of `here` and `there`.
        here: measured on this machine.
        there: what the reference reaches, as published and assumed.
        ratio: here over there; `low` and `high` are its ends.
    """

    unit: str
    here: float
    there: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class RelativeSpeed:
    """This machine's speed over the reference's; more than 1 is faster. `low` and `high` are the interval."""

    ratio: float
    low: float
    high: float
    parts: Mapping[str, PartSpeed]


def _figures(tensor_tflops: float, memory_gbs: float) -> dict[str, Figure]:
    return {
        "matmul": Figure(tensor_tflops, "TFLOP/s", 0.90, 0.80, 1.05),  # a boosting clock passes the nominal one
        "convolution": Figure(tensor_tflops, "TFLOP/s", 0.65, 0.45, 0.90),
        "memory": Figure(memory_gbs, "GB/s", 0.91, 0.85, 0.95),
        # The challenge does not publish its host: a desktop's core, within a factor of two.
        HOST: Figure(HOST_IMAGES_PER_S, "images/s", 1.0, 0.5, 2.0),
    }


# Dense half-precision tensor throughput with float32 accumulation, as PyTorch uses it, and memory bandwidth: NVIDIA's
# architecture papers "Ada" (2022) and "Ampere GA102" (2020).
CARDS = {
    "rtx4090": ReferenceCard("rtx4090", "RTX 4090", _figures(165.2, 1008.0)),
    "rtx3090": ReferenceCard("rtx3090", "RTX 3090", _figures(71.2, 936.0)),
}


def get_card(name: str) -> ReferenceCard:
    """The card called `name`.

    Raises:
        ValueError: there are no figures for it; the sentence lists those there are.
    """
    if name not in CARDS:
        raise ValueError(f"--as takes {' or '.join(CARDS)}, not {name!r}")
    return CARDS[name]


def compare(figure: Figure, here: float) -> PartSpeed:
    """A measured figure beside a published one.

    Args:
        here: in the figure's unit, more than 0.
    """
    there = figure.peak * figure.reached
    return PartSpeed(
        unit=figure.unit,
        here=here,
        there=there,
        ratio=here / there,
        low=here / (figure.peak * figure.most),
        high=here / (figure.peak * figure.least),
    )


def relative_speed(card: ReferenceCard, measured: Mapping[str, float]) -> RelativeSpeed:
    """This machine's speed over that of `card`.

    The card's parts are weighed alike, by their geometric mean; the host's time is added to the card's. The interval
    spans all mixtures of the card's parts, from each part's low end to its high end, and the range of the host's share.

    Args:
        measured: for each of the card's figures, in its unit.
    """
    parts = {name: compare(figure, measured[name]) for name, figure in card.figures.items()}
    on_card, host = [part for name, part in parts.items() if name != HOST], parts[HOST]
    least, most = min(part.low for part in on_card), max(part.high for part in on_card)
    middle = prod(part.ratio for part in on_card) ** (1 / len(on_card))
    return RelativeSpeed(
        ratio=mixture(middle, host.ratio, HOST_SHARE),
        low=min(mixture(least, host.low, share) for share in HOST_SHARE_RANGE),
        high=max(mixture(most, host.high, share) for share in HOST_SHARE_RANGE),
        parts=parts,
    )


def mixture(card: float, host: float, host_share: float) -> float:
    """The speed of work of which the host takes `host_share` of the reference's time, and the card the rest."""
    return 1 / ((1 - host_share) / card + host_share / host)


def scaled_budget(budget_s: float, card: ReferenceCard, speed: RelativeSpeed) -> float:
    """How long the reference card's `budget_s` lasts here, in seconds, to the tenth.

    Raises:
        ValueError: under a second or over a day; the sentence has the figures.
    """
    scaled_s = round(budget_s / speed.ratio, 1)
    if SHORTEST_S <= scaled_s <= LONGEST_S:
        return scaled_s
    parts = ", ".join(
        f"{name} {part.here:.3g} {part.unit} beside {part.there:.3g}" for name, part in speed.parts.items()
    )
    limit = "more than a day" if scaled_s > LONGEST_S else "less than a second"
    raise ValueError(
        f"{show_duration(budget_s)} of one {card.title} would be {show_duration(scaled_s)} here, {limit} ({parts}); "
        f"give {'a shorter' if scaled_s > LONGEST_S else 'a longer'} --budget, or leave out --as"
    )
