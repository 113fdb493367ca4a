"""The tuner: which candidate (steps, and settings beside them) buys the most accuracy with the budget.

Diffusion step reduction as the min-max paper means it: fewer steps make worse images but more of them. Candidates are
piloted at few images a class, forecast at the IPC that the budget would give each of them, and the less likely half is
given up before the next, larger pilot, but for those that may well be the best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from harness.tuning.forecast import Forecast, Pilot, forecasts

# The last pilot has this share of the images that the budget would give.
LAST_SHARE = 1 / 8
LEAST_IPC = 4
# Candidates are kept until they are this likely to hold the best one, at most half of them,
SURE = 0.95
# but none is given up that is the best with this chance: what cannot be told apart yet is piloted further.
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

    Raises:
        ValueError: it is no number.
    """
    own = dict(settings)
    tried = own.pop("pda", None)
    try:
        return own, pda if tried is None else int(tried)
    except ValueError:
        raise ValueError(f"pda takes whole numbers, not {tried!r}") from None


@dataclass(frozen=True)
class Trial:
    """What became of one candidate.

    Attributes:
        candidate, pilots: what was tried, and its accuracies.
        forecast: the last one made of it.
        level: the last level it took part in, from 1.
        seconds: spent on its pilots.
    """

    candidate: Candidate
    pilots: tuple[Pilot, ...]
    forecast: Forecast
    level: int
    seconds: float


@dataclass(frozen=True)
class Tuned:
    """The outcome: trials in the order of the candidates, and the one chosen."""

    trials: tuple[Trial, ...]
    chosen: Candidate
    seconds: float

    @property
    def winner(self) -> Trial:
        return next(trial for trial in self.trials if trial.candidate == self.chosen)


def levels(candidates: int, ipc: float) -> list[list[int]]:
    """Images per class of the pilots, level by level; each level adds one that is twice as large.

    Args:
        candidates: how many there are; each level halves them.
        ipc: images per class that the budget gives.
    """
    count = max(1, math.ceil(math.log2(max(candidates, 1))))
    first = max(LEAST_IPC, round(ipc * LAST_SHARE / 2 ** (count - 1)))
    return [[first // 4, first // 2, first], *([first * 2**level] for level in range(1, count))]


def tune(
    candidates: Sequence[Candidate],
    ipc_of: Callable[[Candidate], float],
    measure: Callable[[Candidate, Sequence[int]], Sequence[Pilot]],
    on_level: Callable[[int, Sequence[Trial]], None] = lambda level, trials: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Find the best candidate.

    Args:
        candidates: at least one, all different.
        ipc_of: images per class that the budget gives a candidate.
        measure: pilots a candidate with each of these numbers of images per class.
        on_level: told the level that is done and the trials so far.
        clock: seconds, for what the pilots cost.
    """
    assert candidates and len({each.name for each in candidates}) == len(candidates)
    began = clock()
    by_name = {each.name: each for each in candidates}
    ipc = {name: ipc_of(each) for name, each in by_name.items()}
    pilots: dict[str, list[Pilot]] = {name: [] for name in by_name}
    seconds = dict.fromkeys(by_name, 0.0)
    trials: dict[str, Trial] = {}
    alive = list(by_name)
    for level, sizes in enumerate(levels(len(candidates), median(ipc.values())), 1):
        for name in alive:
            start = clock()
            pilots[name] += measure(by_name[name], sizes)
            seconds[name] += clock() - start
        found = forecasts({name: pilots[name] for name in alive}, {name: ipc[name] for name in alive})
        for name in alive:
            trials[name] = Trial(by_name[name], tuple(pilots[name]), found[name], level, seconds[name])
        on_level(level, [trials[name] for name in by_name if name in trials])
        alive = _kept(alive, found)
        if len(alive) == 1:
            break
    chosen = max(alive, key=lambda name: trials[name].forecast.accuracy)
    return Tuned(tuple(trials[name] for name in by_name), by_name[chosen], clock() - began)


def _kept(alive: Sequence[str], found: Mapping[str, Forecast]) -> list[str]:
    """The likelier half, fewer where sure to hold the best, more where others are likely too; in the order given."""
    ranked = sorted(alive, key=lambda name: -found[name].best)
    kept: list[str] = []
    for name in ranked:
        if len(kept) >= math.ceil(len(alive) / 2) and found[name].best < LIKELY:
            break
        kept.append(name)
        if sum(found[each].best for each in kept) >= SURE:
            break
    return [name for name in alive if name in kept]
