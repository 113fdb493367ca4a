"""The accuracy of random real images, judged once for each data set, IPC and protocol, and kept in the cache."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evaluation.base.cache import cache_folder
from evaluation.base.challenge import Challenge
from evaluation.base.files import write_text
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.judge import rounds as judge_module
from evaluation.judge.checkpoint import fingerprint
from evaluation.judge.protocol import Protocol
from evaluation.judge.score import Score
from harness.records.anytime import How

_SCORE = TypeAdapter(Score)


def kept_file(real: ImageSet, test: ImageSet | NormalisedSet, challenge: Challenge, how: How, device: str) -> Path:
    """Where the score of these real images is kept: one file for each protocol and state of the judge's code."""
    sources = sorted(Path(judge_module.__file__).parent.glob("*.[pc]*"))
    code = sha256(b"".join(source.read_bytes() for source in sources if source.is_file())).hexdigest()
    protocol, chance = Protocol(how.epochs), f"judge seed {how.judge_seed}"
    key = fingerprint(real, test, challenge.name, protocol, how.engine, chance, device, (code, str(how.rounds)))
    return cache_folder() / "baselines" / f"{challenge.name}-{key}.json"


def kept_score(file: Path, judge: Callable[[], Score]) -> Score:
    """What `file` holds, else what `judge` gives, which is kept there where it can be."""
    if kept := read_score(file):
        return kept
    score = judge()
    with suppress(OSError):
        write_score(file, score)
    return score


def read_score(file: Path) -> Score | None:
    """What `file` holds; None where that is no score."""
    with suppress(OSError, ValidationError):
        return _SCORE.validate_json(file.read_bytes())
    return None


def write_score(file: Path, score: Score) -> None:
    """Raises OSError where it cannot be written."""
    write_text(file, _SCORE.dump_json(score, indent=1).decode() + "\n")
