"""Successive halving: which candidate (steps, and settings beside them) buys the most accuracy with the budget.

Diffusion step reduction as the min-max paper means it: fewer steps make worse images but more of them. Candidates are
tried at few images per class, forecast at the IPC that the budget would give each of them, and the less likely half is
dropped before the next, larger pilot, except those that may well be the best.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import median

from harness.tuning.forecast import Forecast, Pilot, forecasts
from submission.contract.generator import GeneratorBase
from submission.worker.pda import check_pda

# Candidates by default, as multiples of the generator's own step count.
MULTIPLES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
# The last pilot has this fraction of the images that the budget would give.
LAST_FRACTION = 1 / 8
MIN_IPC = 4
# Candidates are kept until they hold the best one with this probability, at most half of them,
SURE = 0.95
# but none is dropped that is the best with this one: candidates that are too close to call are tried further.
LIKELY = 0.2


@dataclass(frozen=True)
class Candidate:
    """One way to spend the budget."""

    steps: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`10 steps`, `10 steps, guidance=1.5`."""
        steps = f"{self.steps} step{'s' if self.steps != 1 else ''}"
        return ", ".join([steps, *(f"{name}={value}" for name, value in self.settings.items())])


def split_pda(settings: Mapping[str, str], pda: int) -> tuple[dict[str, str], int]:
    """The generator's own settings, and PDA: that of `--try pda=...` where it stands among them, else `pda`.

    Raises ValueError where it is no number.
    """
    own = dict(settings)
    tried = own.pop("pda", None)
    try:
        return own, pda if tried is None else int(tried)
    except ValueError:
        raise ValueError(f"pda takes whole numbers, not {tried!r}") from None


def candidates_of(
    maker: type[GeneratorBase],
    weights: Path | None,
    steps: Sequence[int],
    tried: Mapping[str, Sequence[str]],
    settings: Mapping[str, str],
    pda: int,
) -> list[Candidate]:
    """Every combination of the step counts and of the settings tried.

    Args:
        steps: the step counts; where empty, multiples of the generator's default.
        tried: the values of each setting to try; `pda` can be among them.
        settings, pda: of all candidates.

    Raises:
        ValueError: there is but one, or a setting that the generator does not know.
    """
    default = maker.default_steps(weights)
    counts = steps or ([1] if default == 1 else sorted({max(1, round(default * each)) for each in MULTIPLES}))
    combinations = [dict(zip(tried, values, strict=True)) for values in product(*tried.values())]
    for combination in combinations:
        own, images = split_pda({**settings, **combination}, pda)
        check_pda(images)
        maker.resolve_settings(own, weights)
    found = [Candidate(count, combination) for combination in combinations for count in counts]
    if len(found) < 2:
        raise ValueError(
            f"generator {maker.info.name!r} makes images in one step, so there is nothing to choose; name settings with"
            " --try NAME=VALUE,VALUE"
            if default == 1 and not steps
            else "there is one candidate, so there is nothing to choose; name more with --steps or --try"
        )
    return found


@dataclass(frozen=True)
class CandidateResult:
    """What became of one candidate: its last forecast, and the seconds spent on its pilots."""

    candidate: Candidate
    pilots: tuple[Pilot, ...]
    forecast: Forecast
    level: int  # the last it took part in, from 1
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """The outcome.

    Attributes:
        results: in the order of the candidates.
        tied: those that cannot be told from the best one by what was measured, itself among them.
        chosen: the cheapest of these.
    """

    results: tuple[CandidateResult, ...]
    tied: tuple[Candidate, ...]
    chosen: Candidate
    seconds: float

    @property
    def winner(self) -> CandidateResult:
        return next(each for each in self.results if each.candidate == self.chosen)


def levels(candidates: int, ipc: float) -> list[list[int]]:
    """Images per class of the pilots, level by level: each halves the candidates and adds a pilot twice as large.

    `ipc`: images per class that the budget gives.
    """
    count = max(1, math.ceil(math.log2(max(candidates, 1))))
    first = max(MIN_IPC, round(ipc * LAST_FRACTION / 2 ** (count - 1)))
    return [[first // 4, first // 2, first], *([first * 2**level] for level in range(1, count))]


def choose(
    candidates: Sequence[Candidate],
    ipc_of: Callable[[Candidate], float],
    measure: Callable[[Candidate, Sequence[int]], Sequence[Pilot]],
    cost_of: Callable[[Candidate], float],
    on_level: Callable[[int, Sequence[CandidateResult]], None] = lambda level, results: None,
    on_pilot: Callable[[float], None] = lambda left_s: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuning:
    """Find the best candidate.

    Args:
        candidates: at least one, all different.
        ipc_of: images per class that the budget gives a candidate.
        measure: pilots a candidate with each of these numbers of images per class.
        cost_of: seconds that a candidate takes for an image, or anything in proportion to it.
        on_level: called with the level that is done and the results so far.
        on_pilot: called after each candidate's pilots with the seconds that remain, about.
    """
    assert candidates and len({each.name for each in candidates}) == len(candidates)
    began = clock()
    by_name = {each.name: each for each in candidates}
    ipc = {name: ipc_of(each) for name, each in by_name.items()}
    pilots: dict[str, list[Pilot]] = {name: [] for name in by_name}
    seconds = dict.fromkeys(by_name, 0.0)
    results: dict[str, CandidateResult] = {}
    remaining = list(by_name)
    plan, done = levels(len(candidates), median(ipc.values())), 0
    for level, sizes in enumerate(plan, 1):
        for place, name in enumerate(remaining):
            start = clock()
            pilots[name] += measure(by_name[name], sizes)
            seconds[name] += clock() - start
            done += sum(sizes)
            ahead = images_ahead(plan, level, len(remaining), place + 1)
            on_pilot(ahead * sum(seconds.values()) / done)
        found = forecasts({name: pilots[name] for name in remaining}, {name: ipc[name] for name in remaining})
        for name in remaining:
            results[name] = CandidateResult(by_name[name], tuple(pilots[name]), found[name], level, seconds[name])
        on_level(level, [results[name] for name in by_name if name in results])
        remaining = _survivors(remaining, found)
        if len(remaining) == 1:
            break
    best = max(remaining, key=lambda name: results[name].forecast.accuracy)
    tied = [by_name[name] for name in remaining if name == best or results[name].forecast.best >= LIKELY]
    chosen = min(tied, key=lambda each: (cost_of(each), -results[each.name].forecast.accuracy))
    return Tuning(tuple(results[name] for name in by_name), tuple(tied), chosen, clock() - began)


def images_ahead(plan: Sequence[Sequence[int]], level: int, candidates: int, done: int) -> int:
    """Images per class of all pilots to come, if each level halves the candidates.

    Args:
        plan: as `levels` gives it.
        level: from 1, that of the `candidates`; `done` of them have been measured in it.
    """
    ahead = (candidates - done) * sum(plan[level - 1])
    for sizes in plan[level:]:
        candidates = math.ceil(candidates / 2)
        ahead += candidates * sum(sizes)
    return ahead


def _survivors(remaining: Sequence[str], found: Mapping[str, Forecast]) -> list[str]:
    """The likelier half, fewer where sure to hold the best, more where others are likely too; in the order given."""
    ranked = sorted(remaining, key=lambda name: -found[name].best)
    survivors: list[str] = []
    for name in ranked:
        if len(survivors) >= math.ceil(len(remaining) / 2) and found[name].best < LIKELY:
            break
        survivors.append(name)
        if sum(found[each].best for each in survivors) >= SURE:
            break
    return [name for name in remaining if name in survivors]
