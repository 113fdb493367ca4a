"""The challenge's score as one page that links the reports of its runs."""

from evaluation.base.challenge import get_challenge
from harness.records.challenge_score import ChallengeScore
from harness.report.page import render_page
from harness.report.sentences import OUTCOMES, format_interval, percent


def score_words(score: ChallengeScore) -> str:
    """`27.41% [27.02, 27.80], the mean of 36.61% (CIFAR-100) and 18.21% (Tiny-ImageNet)`, or why there is none."""
    if score.score is None:
        return f"none: {' and '.join(score.missing)} {'has' if len(score.missing) == 1 else 'have'} no accuracy"
    parts = [f"{percent(run.accuracy)} ({get_challenge(run.dataset).title})" for run in score.runs]
    interval = f" {format_interval(score.ci95)}" if score.ci95 else " (no interval from one round)"
    marks = ", a preview" if score.preview else ""
    if score.failed_audits:
        marks += f"; it does not count: {', '.join(score.failed_audits)} failed"
    return f"{percent(score.score)}{interval}, the mean of {' and '.join(parts)}{marks}"


def render_score(score: ChallengeScore) -> str:
    """The page; it lies beside the folders of the runs."""
    rows = [(run, get_challenge(run.dataset).title, OUTCOMES[run.outcome]) for run in score.runs]
    return render_page("score.html", title="The challenge's score", score=score, words=score_words(score), rows=rows)
