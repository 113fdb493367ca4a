"""Are the pixel values what the judge takes them for? Range, normalisation, colours, plain images and size."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.audit import Finding, Number, worst
from evaluation.audits.probe import Facts
from evaluation.audits.whitening import WHITENED, correlation
from evaluation.base.challenge import Challenge, challenges
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.submitted.folder import FolderContents

_SAMPLE = 5000  # images whose values are counted
_BLOCK = 1024
_PLAIN_LEVELS = 2.0  # standard deviation of all values of an image; the plainest real one has 5
_PLAIN_FAILED = 0.1  # fraction of plain images
_ZEROS = {"cifar100": 0.004, "tiny-imagenet": 0.022, "digits": 0.34}  # fraction of the values of real images
_CLIPPED = 0.3  # fraction of zeros beyond these
_BLACK_OR_WHITE = 0.6  # fraction of values at 0 or 255; real: 0.02 (CIFAR-100), 0.04 (Tiny-ImageNet), 0.36 (digits)
# Of a channel: how far its mean may be from the real one, and the range of its std over the real one.
_MEAN_OFF, _LEAST_STD, _MOST_STD = 0.2, 0.4, 1.8
_FLOAT_SAMPLE = 4096  # float images whose normalisation is examined
_ON_GRID = 0.05  # mean distance to whole levels; 0.25 for continuous values
_HUGE = 1e5  # beyond any normalisation of 16-bit values
_OUTSIDE = 0.02  # of the pixel range: further out is not rounding
_FITS = 0.04  # sum of the distances of the extremes from black and white, per channel
_BETTER = 0.03  # by which another normalisation must fit better to be believed
_CHANNELS = ("red", "green", "blue")
# Standard deviations of random class orders by which changed colours must agree better than the colours as given.
# 10,000 sets of random class colours have at most 4.0, noise and real images in a wrong class order 2.1. Correct real
# images, however blurred, and Gaussians in 5 and 30 components need no change: 0. With 1, 2 and 10 real images per
# class: red and blue swapped 5.3, 7.0, 9.3 or more, other orders 3.4, 6.0, 8.9, negatives 4.1, 6.2, 10.8; the change is
# named correctly each time. Gaussians with swapped channels have 5.6 or more.
_CHANGED_Z = 4.5


def audit_pixels(contents: FolderContents, pixels: ImageSet, challenge: Challenge, facts: Facts) -> Finding:
    """Look for wrong ranges, wrong normalisation, swapped channels, negatives, plain images and wrong sizes.

    `contents` may hold floats; `pixels` are the same images in 8 bits.

    Numbers: `plain` (fraction of images of nearly one colour), `zeros`, `black_or_white` (fractions of values),
    `mean_off`, `std_ratio`, `resized`; for floats `not_finite`, `normalisation`, `outside`, or `largest` where a value
    is beyond any normalisation; where colours can be
    compared `colours_z` (by how many standard deviations of random class orders a change of the colours agrees better).
    """
    findings = [_plain(pixels), _values(pixels, challenge), _colours(pixels, challenge, facts), _size(contents)]
    if isinstance(contents.images, NormalisedSet):
        findings[:0] = _floats(contents.images, challenge)
    evidence = "; ".join(finding.evidence for finding in findings if finding.evidence)
    numbers = {name: number for finding in findings for name, number in finding.numbers.items()}
    status = worst(finding.status for finding in findings)
    return Finding(status, evidence or "range, colours and size are as expected", numbers)


def _floats(images: NormalisedSet, challenge: Challenge) -> Iterator[Finding]:
    finite = np.array([np.isfinite(image).all() for image in images.images])
    broken = int((~finite).sum())
    evidence = f"{broken:,} images contain values that are not finite" if broken else ""
    yield Finding("fail" if broken else "pass", evidence, {"not_finite": broken})
    if broken < len(images):
        known = images.images[finite] if broken else images.images
        largest = float(np.abs(known).max())
        if largest > _HUGE:
            evidence = f"values reach {largest:.2g}, and those of normalised pixels {_largest(challenge):.1f}"
            yield Finding("fail", evidence, {"normalisation": None, "largest": largest})
        else:
            yield _normalisation(known, challenge)


def _largest(challenge: Challenge) -> float:
    """The largest value that a pixel has after the challenge's normalisation."""
    return max(max(m, 1 - m) / s for m, s in zip(challenge.mean, challenge.std, strict=True))


class Normalisation(NamedTuple):
    """(pixel - mean) / std per channel, for pixels in [0, 1]."""

    name: str
    mean: Sequence[float]
    std: Sequence[float]

    def undo(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (self.mean, self.std))
        return images * std + mean


def normalisations(challenge: Challenge) -> list[Normalisation]:
    """The challenge's own normalisation first, then common mistakes."""
    mean, std = np.array(challenge.mean), np.array(challenge.std)
    others = [c for c in challenges().values() if c.name != challenge.name]
    return [
        Normalisation("the challenge's own", challenge.mean, challenge.std),
        Normalisation("none, values in [0, 1]", (0.0,) * 3, (1.0,) * 3),
        Normalisation("none, values in [0, 255]", (0.0,) * 3, (1 / 255,) * 3),
        Normalisation("none, values in [-1, 1]", (0.5,) * 3, (0.5,) * 3),
        Normalisation("the challenge's own, twice", (mean + std * mean).tolist(), (std * std).tolist()),
        Normalisation("CIFAR-10's", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        Normalisation(
            "CIFAR-10's mean with a widespread wrong std", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
        ),
        Normalisation("Tiny-ImageNet's own rather than ImageNet's", (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)),
        *(Normalisation(f"that of {c.title}", c.mean, c.std) for c in others),
    ]


def _normalisation(images: NDArray[np.float32], challenge: Challenge) -> Finding:
    """Tell the normalisation of float images (N, 3, H, W), N at least 1, all values finite.

    The grid of 8-bit pixels tells it for certain; without one, the darkest and brightest values suggest it.
    """
    sample = images[:: max(1, len(images) // _FLOAT_SAMPLE)]
    known = normalisations(challenge)
    pixels = [normalisation.undo(sample) for normalisation in known]
    outside = float(((pixels[0] < -_OUTSIDE) | (pixels[0] > 1 + _OUTSIDE)).mean())
    certain = next((number for number, found in enumerate(pixels) if _on_grid(found)), None)
    if certain is None and (found := correlation(NormalisedSet(sample, np.zeros(len(sample), np.int64)))).whitened:
        evidence = (
            f"the images seem to be normalised by another rule: {WHITENED}, as trajectory-matching code saves them; the"
            f" judge's test images are not whitened (correlation of pixels side by side {found.near:.2f}, two apart"
            f" {found.far:.2f})"
        )
        return Finding("fail", evidence, {"normalisation": WHITENED, "outside": outside})
    misfits = [_misfit(found) for found in pixels]
    likely = int(np.argmin(misfits))
    if certain is None and (misfits[likely] > _FITS or misfits[0] <= misfits[likely] + _BETTER):
        if outside == 0:
            return Finding("pass", "", {"normalisation": known[0].name, "outside": outside})
        evidence = f"{outside:.1%} of the values lie outside the range of pixels"
        return Finding("warn", evidence, {"normalisation": None, "outside": outside})
    name = known[likely if certain is None else certain].name
    numbers: dict[str, Number] = {"normalisation": name, "outside": outside}
    if certain == 0:
        return Finding("pass", "", numbers)
    if certain is None:
        return Finding("warn", f"the images seem to be normalised by another rule: {name}", numbers)
    return Finding("fail", f"the images were normalised by another rule: {name}", numbers)


def _on_grid(pixels: NDArray[np.float32]) -> bool:
    levels = pixels * 255
    possible = pixels.min() > -_OUTSIDE and pixels.max() < 1 + _OUTSIDE and np.ptp(levels) > 1.5
    return bool(possible and np.abs(levels - np.rint(levels)).mean() < _ON_GRID)


def _misfit(pixels: NDArray[np.float32]) -> float:
    """How far the darkest and the brightest value of each channel are from black and white, on average."""
    return float((np.abs(pixels.min((0, 2, 3))) + np.abs(pixels.max((0, 2, 3)) - 1)).mean())


def _size(contents: FolderContents) -> Finding:
    resized = sum(contents.resized.values())
    evidence = f"{resized:,} of {len(contents.images):,} images had another size and were resized" if resized else ""
    return Finding("warn" if resized else "pass", evidence, {"resized": resized})


def _plain(pixels: ImageSet) -> Finding:
    plain = 0
    for start in range(0, len(pixels), _BLOCK):
        block = pixels.images[start : start + _BLOCK]
        plain += int((block.reshape(len(block), -1).std(1, dtype=np.float32) < _PLAIN_LEVELS).sum())
    fraction = plain / len(pixels)
    evidence = f"{plain:,} images are of nearly one colour" if plain else ""
    return Finding("fail" if fraction > _PLAIN_FAILED else "warn" if plain else "pass", evidence, {"plain": fraction})


def _values(pixels: ImageSet, challenge: Challenge) -> Finding:
    sample = pixels.images[:: max(1, len(pixels) // _SAMPLE)]
    counts = np.stack([np.bincount(sample[:, channel].reshape(-1), minlength=256) for channel in range(3)])
    fractions, levels = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    zeros, extremes = float(fractions[:, 0].mean()), float(fractions[:, [0, 255]].sum(1).mean())
    means = fractions @ levels
    ratios = np.sqrt(np.maximum(fractions @ levels**2 - means**2, 0)) / challenge.std
    off = float(np.abs(means - challenge.mean).max())
    ratio = float(ratios[np.abs(ratios - 1).argmax()])
    numbers: dict[str, Number] = {"zeros": zeros, "black_or_white": extremes, "mean_off": off, "std_ratio": ratio}
    if sample.max() <= 1:
        return Finding("fail", "no value is above 1, as if floats in [0, 1] had been written as pixels", numbers)
    if extremes > _BLACK_OR_WHITE:
        evidence = f"{extremes:.0%} of the values are 0 or 255, as if normalised floats had been written as pixels"
        return Finding("fail", evidence, numbers)
    if zeros > _ZEROS[challenge.name] + _CLIPPED:
        return Finding("warn", f"{zeros:.0%} of the values are 0, as if negative values had been clipped", numbers)
    if off > _MEAN_OFF or not _LEAST_STD < ratio < _MOST_STD:
        evidence = f"a channel's mean is {off:.2f} from the real one and its contrast {ratio:.2f} of the real one"
        return Finding("warn", evidence, numbers)
    return Finding("pass", "", numbers)


def _colours(pixels: ImageSet, challenge: Challenge, facts: Facts) -> Finding:
    """Compare the mean colours of the classes with the real ones in all orders of the channels and as negatives.

    Both are centred over the classes, so that a colour cast or a normalisation of all images has no influence. Without
    a number where that cannot tell: real images are grey, or less than half of the classes have an image.
    """
    present = np.unique(pixels.labels)
    if np.ptp(facts.colours, axis=1).max() < 1 / 255 or len(present) < challenge.classes // 2:
        return Finding("pass", "", {})
    stored = np.stack([pixels.images[pixels.labels == label].mean((0, 2, 3)) / 255 for label in present])
    real = facts.colours[present].astype(np.float64)
    stored, real = stored - stored.mean(0), real - real.mean(0)
    changes = [(sign, order) for sign in (1, -1) for order in permutations(range(3))]
    sign, order = max(changes, key=lambda change: float((change[0] * stored[:, change[1]] * real).sum()))
    z = _z_score(sign * stored[:, order] - stored, real)
    if z < _CHANGED_Z:
        return Finding("pass", "", {"colours_z": z})
    evidence = f"{_describe(sign, order)}: the colours of the classes contradict the real ones (z = {z:.1f})"
    return Finding("fail", evidence, {"colours_z": z})


def _z_score(gain: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """The sum of products of two sets of class colours (C, 3) of mean 0, in standard deviations over class orders."""
    variance = ((gain.T @ gain) * (real.T @ real)).sum() / (len(real) - 1)
    return float((gain * real).sum() / max(variance**0.5, 1e-12))


def _describe(sign: int, order: tuple[int, ...]) -> str:
    """Describe a change of the colours; `order[i]` is the stored channel that shows the real channel i."""
    moved = [_CHANNELS[channel] for channel in range(3) if order[channel] != channel]
    parts = ["the images seem to be negatives"] if sign < 0 else []
    if len(moved) == 2:
        parts.append(f"{moved[0]} and {moved[1]} seem to be swapped")
    elif moved:
        stored = ", ".join(_CHANNELS[order.index(channel)] for channel in range(3))
        parts.append(f"the channels seem to be stored as {stored}")
    return " and ".join(parts)
