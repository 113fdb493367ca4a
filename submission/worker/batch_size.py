"""Which batch size is the fastest: what is tried next, and what the trials say."""

from collections.abc import Sequence

# Doubling the batch goes on while it brings at least this many more images a second.
GAIN = 0.03

Tried = Sequence[tuple[int, float]]  # (images, seconds) of batches, the sizes ascending


def worth_doubling(tried: Tried) -> bool:
    """Whether twice the last size may be faster: one of the last two doublings brought GAIN; one miss can be chance."""
    rates = [images / seconds for images, seconds in tried]
    return len(rates) < 3 or max(rates[-2:]) >= (1 + GAIN) * max(rates[:-2])


def best_size(tried: Tried) -> int:
    """The size that gave most images a second. Raises ValueError if nothing was tried."""
    return max(tried, key=lambda each: each[0] / each[1])[0]


def size_after_trials(tried: Tried, default: int, cut_short: bool) -> int:
    """The batch size to go on with after what was `tried`; `default` is the generator's own.

    `cut_short`: time ran out before doubling stopped to gain, so that nothing is known of larger batches.
    """
    if not tried or (cut_short and default > tried[-1][0]):
        return default
    return best_size(tried)
