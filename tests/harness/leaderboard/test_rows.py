"""Rows: all runs of a submission count, ranks stay within their track, the score is the mean of both data sets."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.audits.audit import Audit
from harness.leaderboard.rows import SCORE, Row, lacks_score, make_rows
from harness.records.challenge_score import ScoredRun, challenge_score
from harness.records.record import Outcome
from tests.harness.leaderboard.samples import COPIES, LEAKED, PASSED, counted

BOTH = ("cifar100", "tiny-imagenet")


def rows_of(*runs: Any, view: str = "digits") -> list[Row]:
    return [row for row in make_rows(runs) if row.view == view]


def test_every_run_counts_and_not_the_best() -> None:
    rounds = ((0.5, 0.6, 0.7), (0.7, 0.8, 0.9))
    (row,) = rows_of(*(counted(seed=seed, rounds=each) for seed, each in enumerate(rounds)))
    assert row.accuracy == pytest.approx(0.7) and row.values == pytest.approx((0.6, 0.8)) and row.unit == "run"
    (alone,) = rows_of(counted(rounds=rounds[0]))
    assert alone.values == rounds[0] and alone.unit == "round" and alone.ci95 is not None


def test_ranks_are_of_one_track_and_of_the_full_protocol() -> None:
    rows = rows_of(
        counted(generator="middle", rounds=(0.5,) * 3),
        counted(generator="best", rounds=(0.6,) * 3),
        counted(generator="equal", rounds=(0.5,) * 3),
        counted(generator="last", rounds=(0.4,) * 3),
        counted(generator="preview", rounds=(0.9,) * 3, epochs=20),
        counted(generator="copies", rounds=(0.95,) * 3, audits=list(COPIES)),
        counted(generator="leaks", rounds=(0.97,) * 3, audits=list(LEAKED)),
        counted(generator="gone", rounds=(0.98,) * 3, verified=False),
        counted(generator="unaudited", rounds=(0.99,) * 3, audits=[]),
    )
    ranks = {row.submission: row.rank for row in rows}
    assert ranks == {
        "best": 1,
        "middle": 2,
        "equal": 2,
        "last": 4,
        "copies": 1,
        "preview": None,
        "leaks": None,
        "gone": None,
        "unaudited": None,
    }
    names = [row.submission for row in rows]
    assert names[:4] == ["best", "equal", "middle", "last"] and names[-1] == "copies"
    why = {row.submission: row.unranked for row in rows}
    assert why["leaks"] == ("leakage: fail",) and why["preview"] == ("preview: 20 epochs",)
    assert why["gone"] == ("unverified",) and why["unaudited"] == ("not audited",)


def test_runs_that_differ_in_more_than_chance_are_not_averaged() -> None:
    rows = rows_of(
        counted(rounds=(0.5,) * 3),
        counted(rounds=(0.6,) * 3, epochs=20),
        counted(rounds=(0.7,) * 3, asked=("--ipc", "5")),
        counted(rounds=(0.8,) * 3, verified=False),
        counted(rounds=(0.9,) * 3, budget_s=30.0),
    )
    assert sorted(row.accuracy for row in rows) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])


def test_one_failed_audit_of_several_runs_costs_the_rank() -> None:
    (row,) = rows_of(counted(seed=0), counted(seed=1, audits=list(LEAKED)))
    assert row.rank is None and [mark.tone for mark in row.marks] == ["bad"]
    assert row.marks[0].sentence == "copies of test images"


def test_marks_say_what_a_reader_must_know() -> None:
    (row,) = rows_of(counted(twin="other", settings={"trust": True}, outcome=Outcome.CRASHED, detail="It broke"))
    assert [mark.word for mark in row.marks] == ["same images as other", "not shut in", "crashed"]
    assert row.rank == 1, "a warning costs nothing"


def test_an_audit_that_cannot_tell_is_not_one_that_passed() -> None:
    blind = Audit("class_order", "pass", "the images agree with no order", conclusive=False)
    warned = Audit("diversity", "warn", "two classes have collapsed", conclusive=False)
    (row,) = rows_of(counted(audits=[*PASSED, blind, warned]))
    marks = {(mark.tone, mark.word) for mark in row.marks}
    assert marks == {("plain", "class order: cannot tell"), ("warn", "diversity: warn")} and row.rank == 1


def test_the_score_is_the_mean_of_both_data_sets() -> None:
    runs = [
        counted(dataset="cifar100", generator="a", rounds=(0.3, 0.32, 0.34)),
        counted(dataset="tiny-imagenet", generator="a", rounds=(0.1, 0.11, 0.12)),
        counted(dataset="cifar100", generator="b", rounds=(0.4,) * 3),
        counted(dataset="tiny-imagenet", generator="b", rounds=(0.3,)),
        counted(dataset="cifar100", generator="alone"),
        counted(dataset="tiny-imagenet", generator="alone", budget_s=300.0),
    ]
    a, b = (row for row in make_rows(runs) if row.view == SCORE)
    assert (a.submission, a.rank, b.submission, b.rank) == ("a", 1, "b", None), "a preview of one makes it one of both"
    assert a.accuracy == pytest.approx((0.32 + 0.11) / 2) and [part.view for part in a.parts] == list(BOTH)
    assert a.ci95 is not None and a.ci95[0] < a.accuracy < a.ci95[1] and b.ci95 is None
    assert b.unranked == ("preview: 1 round",)


def test_a_score_that_is_missing_is_told() -> None:
    one, other = counted(dataset="cifar100"), counted(dataset="tiny-imagenet", generator="other")
    assert lacks_score(make_rows([one, other])) and not lacks_score(make_rows([counted()]))
    assert not lacks_score(make_rows([one, counted(dataset="tiny-imagenet")]))


def test_the_score_takes_the_most_complete_judging_of_each_data_set() -> None:
    runs = [
        counted(dataset="cifar100", rounds=(0.9,) * 3, epochs=20),
        counted(dataset="cifar100", rounds=(0.3,) * 3),
        counted(dataset="cifar100", rounds=(0.95,) * 3, verified=False),
        counted(dataset="tiny-imagenet", rounds=(0.1,) * 3),
    ]
    (score,) = (row for row in make_rows(runs) if row.view == SCORE)
    assert score.accuracy == pytest.approx(0.2) and score.rank == 1


def test_the_score_is_that_of_dataset_all() -> None:
    runs = [counted(dataset=BOTH[0], rounds=(0.3, 0.32, 0.35)), counted(dataset=BOTH[1], rounds=(0.1,) * 3)]
    (score,) = (row for row in make_rows(runs) if row.view == SCORE)
    own = challenge_score([ScoredRun.of(run.record, run.record.dataset) for run in runs], BOTH, {}, None, [])
    assert (score.accuracy, score.ci95) == (own.score, own.ci95) and own.ci95 is not None
