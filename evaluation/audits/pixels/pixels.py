"""Are the values of the images what the judge takes them for? Range, normalisation, channels, plain pictures, size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from evaluation.audits.base.audit import Audit, Number, Status
from evaluation.audits.base.probe import Facts
from evaluation.audits.pixels.channels import read_colours
from evaluation.audits.pixels.normalisation import read_normalisation
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.submitted.contents import FolderContents

_SAMPLED = 5000  # images whose values are counted
_BLOCK = 1024
_PLAIN_LEVELS = 2.0  # standard deviation of all values of a picture; the plainest real one has 5
_PLAIN_FAILED = 0.1  # share of plain pictures
_ZEROS = {"cifar100": 0.004, "tiny-imagenet": 0.022, "digits": 0.34}  # share of the values of real images
_CUT = 0.3  # share of zeros beyond these
_BLACK_OR_WHITE = 0.6  # share of values at 0 or 255; real: 0.02 (CIFAR-100), 0.04 (Tiny-ImageNet), 0.36 (digits)
_MEAN_OFF, _LEAST_STD, _MOST_STD = (
    0.2,
    0.4,
    1.8,
)  # of a channel: its mean, and its deviation as a multiple of the real one


class _Finding(NamedTuple):
    status: Status
    sentence: str
    numbers: dict[str, Number]


def audit_pixels(contents: FolderContents, pixels: ImageSet, challenge: Challenge, facts: Facts) -> Audit:
    """Look for wrong ranges, wrong normalisation, swapped channels, negatives, plain pictures and wrong sizes.

    Args:
        contents: what was read, floats as they are.
        pixels: the same images in 8 bits.
        facts: what is known of real images.

    Numbers: `plain` (share of pictures of nearly one colour), `zeros`, `black_or_white` (shares of values), `mean_off`,
    `std_ratio`, `resized`; for floats `not_finite`, `normalisation`, `outside`; where colours can be told `colours_z`
    (of `Colours`).
    """
    findings = [_plain(pixels), _values(pixels, challenge), _channel_order(pixels, challenge, facts)]
    if isinstance(contents.images, NormalisedSet):
        findings[:0] = _floats(contents.images, challenge)
    findings.append(_size(contents))
    numbers: dict[str, Number] = {}
    for finding in findings:
        numbers |= finding.numbers
    found: set[Status] = {finding.status for finding in findings}
    status: Status = "fail" if "fail" in found else "warn" if "warn" in found else "pass"
    told = [finding.sentence for finding in findings if finding.sentence]
    return Audit("pixels", status, "; ".join(told) or "range, colours and size are as expected", numbers)


def _floats(images: NormalisedSet, challenge: Challenge) -> Iterator[_Finding]:
    finite = np.array([np.isfinite(image).all() for image in images.images])
    broken = int((~finite).sum())
    told = f"{broken:,} images hold values that are no numbers" if broken else ""
    yield _Finding("fail" if broken else "pass", told, {"not_finite": broken})
    if broken == len(images):
        return
    reading = read_normalisation(images.images[finite] if broken else images.images, challenge)
    numbers: dict[str, Number] = {"normalisation": reading.name, "outside": reading.outside}
    if reading.right:
        yield _Finding("pass", "", numbers)
    elif reading.name is None:
        yield _Finding("warn", f"{reading.outside:.1%} of the values lie outside of what pixels can give", numbers)
    elif reading.certain:
        yield _Finding("fail", f"the images were normalised by another rule: {reading.name}", numbers)
    else:
        yield _Finding("warn", f"the images seem to be normalised by another rule: {reading.name}", numbers)


def _size(contents: FolderContents) -> _Finding:
    resized = sum(contents.resized.values())
    told = f"{resized:,} of {len(contents.images):,} images had another size and were resized" if resized else ""
    return _Finding("warn" if resized else "pass", told, {"resized": resized})


def _plain(pixels: ImageSet) -> _Finding:
    plain = 0
    for start in range(0, len(pixels), _BLOCK):
        block = pixels.images[start : start + _BLOCK]
        plain += int((block.reshape(len(block), -1).std(1, dtype=np.float32) < _PLAIN_LEVELS).sum())
    share = plain / len(pixels)
    told = f"{plain:,} images are of nearly one colour" if plain else ""
    status: Status = "fail" if share > _PLAIN_FAILED else "warn" if plain else "pass"
    return _Finding(status, told, {"plain": share})


def _values(pixels: ImageSet, challenge: Challenge) -> _Finding:
    sample = pixels.images[:: max(1, len(pixels) // _SAMPLED)]
    counts = np.stack([np.bincount(sample[:, channel].reshape(-1), minlength=256) for channel in range(3)])
    shares, levels = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    zeros, extremes = float(shares[:, 0].mean()), float(shares[:, [0, 255]].sum(1).mean())
    means = shares @ levels
    ratios = np.sqrt(np.maximum(shares @ levels**2 - means**2, 0)) / challenge.std
    off = float(np.abs(means - challenge.mean).max())
    ratio = float(ratios[np.abs(ratios - 1).argmax()])
    numbers: dict[str, Number] = {"zeros": zeros, "black_or_white": extremes, "mean_off": off, "std_ratio": ratio}
    if sample.max() <= 1:
        return _Finding("fail", "no value is above 1, as if floats in [0, 1] were written as pixels", numbers)
    if extremes > _BLACK_OR_WHITE:
        told = f"{extremes:.0%} of the values are 0 or 255, as if normalised floats were written as pixels"
        return _Finding("fail", told, numbers)
    if zeros > _ZEROS[challenge.name] + _CUT:
        return _Finding("warn", f"{zeros:.0%} of the values are 0, as if negative values were cut off", numbers)
    if off > _MEAN_OFF or not _LEAST_STD < ratio < _MOST_STD:
        told = f"a channel's mean is {off:.2f} from the real one and its contrast {ratio:.2f} of the real one"
        return _Finding("warn", told, numbers)
    return _Finding("pass", "", numbers)


def _channel_order(pixels: ImageSet, challenge: Challenge, facts: Facts) -> _Finding:
    colours = read_colours(pixels, challenge, facts)
    if colours is None:
        return _Finding("pass", "", {})
    numbers: dict[str, Number] = {"colours_z": colours.z}
    if colours.told:
        told = f"{colours.told}: the colours of the classes run against the real ones (z = {colours.z:.1f})"
        return _Finding("fail", told, numbers)
    return _Finding("pass", "", numbers)
