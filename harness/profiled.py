"""What `run` does with a profile: it plans with the one at hand, or records what the worker tried on the clock."""

from __future__ import annotations

from dataclasses import replace

from harness.generation import Needs
from harness.options import RunOptions
from harness.planner import Plan, make_plan, predict_after_trial
from harness.profile import Profile, load_profile, profile_key
from harness.record import PlanPart, Record
from harness.trials import Trial
from submission.generator import GeneratorBase
from submission.keeping import Block, block_of


def plan_of(options: RunOptions, maker: type[GeneratorBase] | None, needs: Needs) -> tuple[Plan, Profile | None]:
    """The plan of a run, and the kept profile that it rests on, None where there is none that fits."""
    profile = None
    if maker is not None:
        key = profile_key(
            options.generator_name, options.dataset, options.settings, needs.weights, needs.device, options.pda
        )
        profile = load_profile(key)
    if profile and not profile.doubled and options.batch_size is None:
        profile = None  # its few batch sizes say nothing of the best one
    block = block_of(options.keep)
    made_cap = block.to_make(options.ipc_cap)
    plan = make_plan(maker, needs.weights, options.steps, options.batch_size, profile, options.budget, made_cap)
    return _kept(plan, block), profile


def _kept(plan: Plan, block: Block) -> Plan:
    """`plan`, which foresees images that are made, with what `--keep` leaves of them."""
    if plan.predicted_ipc is None or plan.predicted_ipc_interval is None:
        return plan
    low, high = (block.share * end for end in plan.predicted_ipc_interval)
    return replace(plan, predicted_ipc=block.share * plan.predicted_ipc, predicted_ipc_interval=(low, high))


def planned(plan: Plan, profile: Profile | None) -> str | None:
    """One sentence on the profile that was found; None where none was."""
    if profile is None or plan.predicted_ipc is None or plan.predicted_ipc_interval is None:
        return None
    low, high = plan.predicted_ipc_interval
    return (
        f"With the profile of {profile.measured_at[:10]}: batch {plan.batch_size}, {plan.steps} steps, "
        f"{plan.predicted_ipc:.4g} [{low:.4g}, {high:.4g}] images per class foreseen."
    )


def with_trial(record: Record, trial: Trial | None) -> Record:
    """`record` with the batch size that the worker chose on the clock, and what its trials foretell."""
    if trial is None:
        return record
    tried = [{"batch_size": images, "seconds": seconds} for images, seconds in trial.tried]
    plan = record.plan.model_copy(update={"batch_size": trial.batch_size})
    # where time ran out before the chosen size was tried, a smaller one would foretell far too little
    if trial.batch_size in dict(trial.tried):
        plan = _foretold(plan, trial, record)
    return record.model_copy(update={"plan": plan, "profile": {"source": "trial", "points": tried}})


def _foretold(plan: PlanPart, trial: Trial, record: Record) -> PlanPart:
    from evaluation.challenge import get_challenge

    classes = get_challenge(record.dataset).classes
    pda = record.settings.get("pda", 1)
    tried = [(pda * images, seconds) for images, seconds in trial.tried]
    found = predict_after_trial(tried, pda * trial.batch_size, trial.made, trial.left_s)
    cap = record.settings.get("ipc_cap")
    share = block_of(record.settings.get("keep", 1.0)).share

    def ipc(images: float) -> float:
        kept = share * images / classes
        return round(kept if cap is None else min(kept, cap), 3)

    return plan.model_copy(
        update={
            "predicted_ipc": ipc(found.middle),
            "predicted_ipc_interval": (ipc(found.low), ipc(found.high)),
        }
    )
