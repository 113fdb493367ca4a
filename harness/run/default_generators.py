"""Which generator a run uses where none is named."""

from evaluation.base.challenge import Challenge
from submission.contract.generator import get_generator

WITH_WEIGHTS = "native"  # the generator that weights are for where none is named
_USUAL = ("distilled", "gaussian")
_OTHERWISE = {"digits": ("native", "gaussian")}


def defaults(challenge_name: str) -> tuple[str, ...]:
    """The project's own generators, the best on held-out training images first (docs/accuracy.md)."""
    return _OTHERWISE.get(challenge_name, _USUAL)


def default_generator(challenge: Challenge) -> str:
    """The first of them whose weights are shipped for `challenge`; the last makes do without."""
    *trained, last = defaults(challenge.name)
    for name in trained:
        try:
            get_generator(name).find_weights(challenge, None)
        except ValueError:
            continue
        return name
    return last
