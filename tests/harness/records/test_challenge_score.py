"""The challenge's score: its mean, its interval, and what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind

from evaluation.audits.audit import Audit
from harness.records.challenge_score import ChallengeScore, ScoredRun, challenge_score, mean_of_means
from tests.harness.records.samples import accuracy, record


def _run(folder: str, *rounds: float, failed: bool = False) -> ScoredRun:
    audits = [Audit("leakage", "fail", "copies")] if failed else []
    score = accuracy(rounds=rounds, mean=float(np.mean(rounds))) if rounds else None
    return ScoredRun.of(record(accuracy=score, audits=audits), folder)


def _score(*runs: ScoredRun) -> ChallengeScore:
    return challenge_score(runs, ("a", "b"), {"python": "3.11"}, None, ["harness", "--dataset", "all"])


def test_the_interval_of_two_means_is_welchs() -> None:
    """The interval of a difference is the same as that of a sum: half of scipy's, about the mean of both."""
    a, b = (0.31, 0.33, 0.32), (0.12, 0.17, 0.15, 0.16)
    mean, interval = mean_of_means([a, b])
    welch = ttest_ind(a, b, equal_var=False).confidence_interval()
    assert mean == pytest.approx((np.mean(a) + np.mean(b)) / 2)
    assert interval is not None and interval[1] - interval[0] == pytest.approx((welch.high - welch.low) / 2)
    assert (interval[0] + interval[1]) / 2 == pytest.approx(mean)


def test_no_interval_from_one_round_and_none_beyond_what_is_possible() -> None:
    assert mean_of_means([(0.3, 0.4), (0.2,)]) == (pytest.approx(0.275), None)
    assert mean_of_means([(0.25, 0.25), (0.75, 0.75)]) == (0.5, (0.5, 0.5))
    _, interval = mean_of_means([(0.0, 1.0), (1.0, 0.0)])
    assert interval == (0.0, 1.0)


def test_a_score_needs_every_run_and_marks_what_failed(tmp_path: Path) -> None:
    assert (_score(_run("a", 0.5, 0.5)).score, _score(_run("a", 0.5, 0.5)).missing) == (None, ["b"])
    assert _score(_run("a", 0.5, 0.5), _run("b")).missing == ["b"]
    whole = _score(_run("a", 0.4, 0.6), _run("b", 0.2, 0.2, failed=True))
    assert whole.score == pytest.approx(0.35) and whole.missing == [] and whole.failed_audits == ["b: leakage"]
    whole.save(tmp_path / "score.json")
    assert ChallengeScore.load(tmp_path / "score.json") == whole
    for path in (tmp_path / "nowhere.json", tmp_path / "record.json"):
        if path.name == "record.json":
            record().save(path)
        with pytest.raises(ValueError, match="is no score of"):
            ChallengeScore.load(path)
