"""`run --as`: the budget of another card, scaled to this machine, before the clock starts."""

from __future__ import annotations

from dataclasses import asdict

from evaluation.base.device import resolve_device
from harness.cards.calibration import calibrate
from harness.cards.other_card import ReferenceCard, RelativeSpeed, get_card, relative_speed, scaled_budget
from harness.records.record import OtherCardPart
from harness.report.console import Voice
from harness.report.sentences import describe_other_card
from harness.run.options import RunOptions


def card_budget(options: RunOptions, voice: Voice) -> OtherCardPart | None:
    """How long the budget of the card that `--as` names lasts here; None without one.

    Raises:
        ValueError: this machine cannot be measured, or is too fast or too slow to stand for that card.
    """
    if options.as_card is None:
        return None
    card, device = get_card(options.as_card), resolve_device(options.device)
    voice.say(f"Measuring this machine against one {card.title}, before the clock.")
    part = other_card_part(card, device, options.budget, relative_speed(card, calibrate(device)))
    voice.say(describe_other_card(part))
    return part


def other_card_part(card: ReferenceCard, device: str, budget_s: float, speed: RelativeSpeed) -> OtherCardPart:
    """What the record says of it. Raises ValueError where the scaled budget makes no sense."""
    told = {
        "as": card.name,
        "ratio": speed.ratio,
        "interval": (speed.low, speed.high),
        "budget": budget_s,
        "scaled_budget": scaled_budget(budget_s, card, speed),
        "device": device,
        "parts": {name: asdict(part) for name, part in speed.parts.items()},
    }
    return OtherCardPart.model_validate(told)
