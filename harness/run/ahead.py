"""Before the clock: the real images, the judge, and what a run will cost."""

from collections.abc import Callable
from functools import partial

from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.commands.display import loading
from evaluation.data.datasets import is_at_hand, load_split
from harness.clock.launch import Needs
from harness.report.console import Voice
from harness.run.costs import tell_costs
from harness.run.generation import fetch_needs
from harness.run.judging import REAL, Judge
from harness.run.options import RunOptions
from harness.run.plan import Plan, card_budget, make_plan
from submission.contract.generator import get_generator


def load_real(
    options: RunOptions, voice: Voice
) -> tuple[ImageSet | None, ImageSet | NormalisedSet | None, Judge | None]:
    """The real training and test images, and the judge, all before the clock: no run ends with nothing to judge it by.

    Where nothing is judged, only what is at hand: the audits want it, but it is not worth a download.
    """
    challenge, data, judged = options.challenge, options.data, options.judged
    with loading(voice.console, challenge, data):
        train = load_split(challenge, "train", data) if judged or is_at_hand(challenge, "train", data) else None
        test = load_split(challenge, "test", data) if judged or is_at_hand(challenge, "test", data) else None
        return train, test, Judge.of(options, test, voice) if judged and test is not None else None


def costs_of(options: RunOptions, train: ImageSet | None, judge: Judge | None) -> Callable[[Plan], None] | None:
    """What says the costs of a plan; None where nothing is judged."""
    has_baseline = train is not None and options.generator_name != REAL
    return partial(tell_costs, judge=judge, has_baseline=has_baseline) if judge else None


def look_ahead(options: RunOptions, voice: Voice) -> None:
    """Say what a run will cost, and find what it lacks, without starting anything. Raises ValueError as `run` would."""
    voice.say(f"Ahead: {options.challenge.title}, {options.generator_name}, {options.budget:g} s on the clock.")
    train, _, judge = load_real(options, voice)
    maker = get_generator(options.generator_name) if options.own else None
    needs = fetch_needs(options) if maker else Needs(None, None, "cpu")
    if tell := costs_of(options, train, judge):
        tell(make_plan(options, maker, needs, card_budget(options, voice)))
