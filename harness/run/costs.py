"""What a run will cost on this machine, said before anything of it is spent."""

from evaluation.base.durations import show_duration
from evaluation.base.limits import usable_cores
from harness.run.judging import BASELINE_ROUNDS, Judge
from harness.run.plan import Plan

# Reading and auditing one image of 32 x 32 pixels on one core: 50,000 of `gaussian` took 80 s. More than two cores
# bring little.
_AUDIT_S = 0.0016
_MOST_CORES = 2


def tell_costs(plan: Plan, judge: Judge, has_baseline: bool) -> None:
    """Say how long generating, auditing and judging take here, and what a preview would; nothing where that is little.

    Args:
        has_baseline: whether random real images are judged beside the run's.
    """
    challenge, how, voice = judge.challenge, judge.how, judge.voice
    ipc: float = challenge.ipc_cap if plan.ipc_cap is None else plan.ipc_cap
    if plan.predicted_ipc is not None:
        ipc = min(ipc, plan.predicted_ipc)
    images = max(1, round(ipc * challenge.classes))
    if not judge.is_slow(images):
        return
    expected = judge.estimate(images)
    audit_s = images * _AUDIT_S * (challenge.size / 32) ** 2 / min(_MOST_CORES, usable_cores())
    voice.say(
        f"At most {show_duration(plan.budget_s)} to make up to {images:,} images, then about {show_duration(audit_s)}"
        f" to read and audit them. {expected.sentence(how.epochs, how.rounds)}"
    )
    if has_baseline:
        more = show_duration(expected.seconds(how.epochs, BASELINE_ROUNDS))
        voice.say(f"As many random real images beside them, {BASELINE_ROUNDS} round: about {more} more.")
