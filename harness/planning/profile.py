"""Profile: what a generator was measured to take on one machine, and where that is stored."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from evaluation.base.cache import cache_folder, cache_folders
from evaluation.base.files import write_text
from evaluation.base.machine import this_machine

SCHEMA = 1

StoredT = TypeVar("StoredT")


@dataclass(frozen=True)
class ColdStart:
    """Seconds from the start of the process to the end of the first batch, which is a small one."""

    process_s: float
    import_s: float
    load_s: float
    first_batch_s: float
    first_batch_images: int

    @property
    def seconds(self) -> float:
        return self.process_s + self.import_s + self.load_s + self.first_batch_s


@dataclass(frozen=True)
class Point:
    """Batches of one size at one step count, nothing else going on.

    Attributes:
        seconds: median of making a batch; `low_s` and `high_s` are the quartiles.
        decode_s: median of bringing it into 8 bits, the challenge's size and the computer's own memory.
        peak_memory_mb: the card's, or the process's on a CPU; None where it is not known.
    """

    steps: int
    batch_size: int
    seconds: float
    low_s: float
    high_s: float
    repeats: int
    decode_s: float
    peak_memory_mb: float | None = None

    @property
    def batch_s(self) -> float:
        """Making and decoding."""
        return self.seconds + self.decode_s

    @property
    def images_per_s(self) -> float:
        return self.batch_size / self.batch_s


@dataclass(frozen=True)
class Sustained:
    """Batches in a row with the writer at work behind them, as in a run; `seconds` is the mean of a batch."""

    steps: int
    batch_size: int
    seconds: float
    low_s: float
    high_s: float
    batches: int


@dataclass(frozen=True)
class Failed:
    """A point that could not be measured."""

    steps: int
    batch_size: int
    reason: Literal["out_of_memory", "crashed", "too_slow"]
    detail: str = ""


@dataclass(frozen=True)
class ProfileKey:
    """What a profile is of; another profile may be used in its place only if all of this is equal.

    Attributes:
        weights: hash of their content, None where there are none.
        machine: the card or the processor. `cores` and `threads` are those that PyTorch may use.
        pda: images written for each generated one. Batches are counted in generated images.
    """

    generator: str
    dataset: str
    settings: Mapping[str, str]
    weights: str | None
    device: str
    machine: str
    cores: int
    threads: int
    versions: Mapping[str, str]
    pda: int = 1


@dataclass(frozen=True)
class Profile:
    """One generator, measured.

    Attributes:
        doubled: whether the batch sizes were doubled until it gained no more, so that the best one is among them.
        write_s: seconds an image takes to the disk, the writer's threads together.
        commit: of this project, None outside a checkout. It is no part of the key.
    """

    key: ProfileKey
    default_steps: int
    default_batch: int
    start: ColdStart
    points: tuple[Point, ...]
    sustained: Sustained | None = None
    doubled: bool = True
    write_s: float = 0.0
    failed: tuple[Failed, ...] = ()
    measured_at: str = ""
    commit: str | None = None
    schema: int = SCHEMA


def merged(older: Profile, newer: Profile) -> Profile:
    """`newer` with the points of `older` that it has not measured itself. Both are of the same key."""
    assert older.key == newer.key
    points = {(point.steps, point.batch_size): point for point in (*older.points, *newer.points)}
    failed = {(each.steps, each.batch_size): each for each in (*older.failed, *newer.failed)}
    return replace(
        newer,
        points=tuple(points[place] for place in sorted(points)),
        failed=tuple(failed[place] for place in sorted(failed) if place not in points),
        sustained=newer.sustained if newer.doubled or not older.doubled else older.sustained,
        doubled=older.doubled or newer.doubled,
    )


def content_hash(weights: Path | None) -> str | None:
    """A hash of a weights file, or of every file of a folder with its name; None where there are no weights."""
    if weights is None:
        return None
    digest = hashlib.blake2b(digest_size=16)
    files = [weights] if weights.is_file() else sorted(path for path in weights.rglob("*") if path.is_file())
    for path in files:
        if path != weights:
            digest.update(str(path.relative_to(weights)).encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(1 << 24):
                digest.update(chunk)
    return digest.hexdigest()


def profile_key(
    generator: str, dataset: str, settings: Mapping[str, str], weights: Path | None, device: str, pda: int = 1
) -> ProfileKey:
    """The key of a profile taken here and now."""
    here = this_machine(device)
    return ProfileKey(
        generator=generator,
        dataset=dataset,
        settings=dict(sorted(settings.items())),
        weights=content_hash(weights),
        device=device,
        machine=here.gpu or here.processor,
        cores=here.cores,
        threads=here.threads,
        versions=here.versions,
        pda=pda,
    )


def stored_path(folder: str, key: ProfileKey, identity: object) -> Path:
    """Where something that belongs to `key` is stored between runs, named by a hash of all of its `identity`."""
    digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=8).hexdigest()
    return cache_folder() / folder / f"{key.generator}-{key.dataset}-{digest}.json"


def load_stored(kind: type[StoredT], path: Path) -> StoredT | None:
    """What was stored at `path`, or in a cache that can only be read; None where there is nothing of this kind."""
    name = path.relative_to(cache_folder())
    for place in cache_folders():
        with suppress(OSError, ValidationError):
            return TypeAdapter(kind).validate_json((place / name).read_bytes())
    return None


def profile_path(key: ProfileKey) -> Path:
    return stored_path("profiles", key, asdict(key))


def load_profile(key: ProfileKey) -> Profile | None:
    """The profile of `key` that was stored, None where there is none that can be read."""
    profile = load_stored(Profile, profile_path(key))
    return profile if profile and profile.schema == SCHEMA and profile.key == key else None


def store_profile(profile: Profile) -> Path:
    """Store `profile` in place of an older one of the same key. Raises OSError where it cannot be written."""
    path = profile_path(profile.key)
    write_text(path, json.dumps(asdict(profile), indent=2) + "\n")
    return path
