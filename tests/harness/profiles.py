"""Profiles to test with, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from harness.planning.profile import ColdStart, Point, Profile, ProfileKey


def key(**changes: Any) -> ProfileKey:
    told: dict[str, Any] = {
        "generator": "native",
        "dataset": "digits",
        "settings": {},
        "weights": None,
        "device": "cpu",
        "machine": "a processor",
        "cores": 2,
        "threads": 2,
        "versions": {"python": "3.11"},
    }
    return ProfileKey(**{**told, **changes})


def start(seconds: float, first_images: int = 0) -> ColdStart:
    return ColdStart(0.0, 0.0, seconds, 0.0, first_images)


def point(steps: int, batch_size: int, seconds: float, **changes: Any) -> Point:
    told: dict[str, Any] = {"low_s": seconds, "high_s": seconds, "repeats": 3, "decode_s": 0.0}
    return Point(steps, batch_size, seconds, **{**told, **changes})


def profile(
    batch_s: Callable[[int, int], float],
    measured: Iterable[tuple[int, int]],
    start_s: float = 3.0,
    **changes: Any,
) -> Profile:
    """Of a generator whose batch of n images and k steps takes `batch_s(k, n)`; `measured` has (k, n)."""
    told: dict[str, Any] = {
        "key": key(),
        "default_steps": 8,
        "default_batch": 64,
        "start": start(start_s),
        "points": tuple(point(steps, size, batch_s(steps, size)) for steps, size in measured),
    }
    return Profile(**{**told, **changes})
