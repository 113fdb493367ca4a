"""Plan: what we will do with the budget, from a profile. Pure functions; `docs/planning.md` says how they are meant."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.base.challenge import get_challenge
from harness.planning.batch_times import batch_seconds, batch_sizes
from harness.planning.profile import Profile
from submission.worker.batch_size import GAIN
from submission.worker.pacing import SAFETY, margin_s

# Of the seconds until the first batch is done: another start may be this much slower, or faster.
START_UNCERTAINTY = 0.3


@dataclass(frozen=True)
class Prediction:
    """What a budget should give: whole images, augmented copies counted; `low` and `high` bound them."""

    steps: int
    batch_size: int
    images: int
    low: int
    high: int
    classes: int

    @property
    def ipc(self) -> float:
        return self.images / self.classes

    @property
    def interval(self) -> tuple[float, float]:
        """Of the IPC."""
        return self.low / self.classes, self.high / self.classes


@dataclass(frozen=True)
class CompileGain:
    """What compiling brings in one budget.

    Attributes:
        images: how many more are made with it; below 0 where it does not pay.
        share: the same as a fraction of the images without it.
        start_s: seconds that the start takes longer.
        faster: images per second over those without it, once it runs.
        pays_from_s: the budget from which it pays; None where it never does.
    """

    images: int
    share: float
    start_s: float
    batch_size: int
    faster: float
    pays_from_s: float | None

    def sentence(self, budget_s: float) -> str:
        """`Compiling: 38 s more to start, then 1.31 times the images per second; in 600 s 2120 more: it pays.`"""
        start = f"Compiling: {self.start_s:.0f} s more to start, then {self.faster:.2f} times the images per second;"
        if self.images > 0:
            return f"{start} in {budget_s:g} s {self.images} images more ({self.share:+.0%}): it pays."
        since = "it never pays" if self.pays_from_s is None else f"it pays from a budget of {self.pays_from_s:.0f} s"
        return f"{start} in {budget_s:g} s {-self.images} images fewer: {since}."


def predict_ipc(
    profile: Profile,
    budget_s: float,
    steps: int | None = None,
    batch_size: int | None = None,
    ipc_cap: int | None = None,
) -> Prediction:
    """What `budget_s` gives with the generator of `profile`, from process start to the last file on disk.

    Args:
        steps: denoising steps, the generator's default where None.
        batch_size: images per call; where None, the size that was measured and gives most images.
        ipc_cap: images per class at which the run stops.

    Raises:
        ValueError: the profile has no point at all.
    """
    if not profile.points:
        raise ValueError(f"the profile of {profile.key.generator!r} holds no measurement; take it again with --refresh")
    steps = steps or profile.default_steps
    classes = get_challenge(profile.key.dataset).classes
    most = None if ipc_cap is None else ipc_cap * classes
    sizes = batch_sizes(profile) if batch_size is None else [batch_size]
    candidates = [_prediction(profile, budget_s, steps, size, classes, most) for size in sizes]
    # where the cap ends the run all sizes give as much, and the fastest is still the better one
    best = max(candidates, key=lambda found: (found.images, _rate(profile, found), -found.batch_size))
    # what was measured longest is believed most
    longest = profile.sustained.batch_size if profile.sustained else best.batch_size
    surest = next((found for found in candidates if found.batch_size == longest), best)
    return surest if surest.images * (1 + GAIN) >= best.images else best


def images_in(left_s: float, batch_size: int, batch_s: float, smaller: Sequence[tuple[int, float]] = ()) -> int:
    """Images that `left_s` seconds give: whole batches, then `smaller` ones (images, seconds) that still fit."""
    if left_s <= 0:
        return 0
    batches = int(left_s / batch_s + 1e-9)
    images, rest_s = batches * batch_size, left_s - batches * batch_s
    for size, seconds in sorted(smaller, reverse=True):
        while size < batch_size and SAFETY * seconds <= rest_s:
            images += size
            rest_s -= seconds
    return images


def compile_gain(
    plain: Profile, compiled: Profile, budget_s: float, steps: int | None, ipc_cap: int | None = None
) -> CompileGain:
    """What compiling brings, by profiles of the same generator as it is and compiled; arguments as of `predict_ipc`."""
    before, after = (predict_ipc(each, budget_s, steps, None, ipc_cap) for each in (plain, compiled))
    rates = _rate(plain, before), _rate(compiled, after)
    starts = plain.start.seconds, compiled.start.seconds
    # where images_a_second x (budget - start) are equal
    cross_s = None
    if rates[1] > rates[0]:
        cross_s = max(starts[1], (rates[1] * starts[1] - rates[0] * starts[0]) / (rates[1] - rates[0]))
    return CompileGain(
        images=after.images - before.images,
        share=after.images / before.images - 1 if before.images else 0.0,
        start_s=starts[1] - starts[0],
        batch_size=after.batch_size,
        faster=rates[1] / rates[0],
        pays_from_s=cross_s,
    )


def _prediction(
    profile: Profile, budget_s: float, steps: int, batch_size: int, classes: int, most: int | None
) -> Prediction:
    batch = batch_seconds(profile, steps, batch_size)
    smaller = [
        (size, batch_seconds(profile, steps, size).middle + size * profile.write_s)
        for size in batch_sizes(profile)
        if size < batch_size
    ]
    start_s = profile.start.seconds
    margin = margin_s(budget_s, profile.key.device)
    # the last images' way to the disk is in nobody's background
    written_s = min([batch_size, *(size for size, _ in smaller)]) * profile.write_s

    def images(start_s: float, pace: float) -> int:
        left_s = budget_s - margin - written_s - start_s
        tail = [(size, seconds * pace) for size, seconds in smaller]
        first = profile.start.first_batch_images if left_s >= 0 else 0
        made = profile.key.pda * (first + images_in(left_s, batch_size, batch.middle * pace, tail))
        return made if most is None else min(made, most)

    return Prediction(
        steps,
        batch_size,
        images=images(start_s, 1.0),
        low=images(start_s * (1 + START_UNCERTAINTY), batch.high / batch.middle),
        high=images(start_s * (1 - START_UNCERTAINTY), batch.low / batch.middle),
        classes=classes,
    )


def _rate(profile: Profile, found: Prediction) -> float:
    return found.batch_size / batch_seconds(profile, found.steps, found.batch_size).middle
