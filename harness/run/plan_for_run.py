"""What `run` does with a profile: it plans with the one at hand, or records what the worker tried on the clock."""

from __future__ import annotations

from dataclasses import replace

from harness.clock.launch import Needs
from harness.planning.batch_trial import Trial
from harness.planning.compile_gain import Gain, gain_of
from harness.planning.planner import Plan, Span, make_plan, predict_on_the_clock
from harness.planning.profile import Profile, ProfileKey, load_profile, profile_key
from harness.records.record import PlanPart, Record
from harness.run.options import RunOptions
from harness.tuning.stored_choice import TunedPlan, find_tuned
from harness.tuning.successive_halving import split_pda
from submission.contract.compile import SETTING, compiles
from submission.contract.generator import GeneratorBase
from submission.worker.keeping import Block, block_of


def key_of(options: RunOptions, needs: Needs) -> ProfileKey:
    """The key of the profile that fits a run."""
    return profile_key(
        options.generator_name, options.dataset, options.settings, needs.weights, needs.device, options.pda
    )


def take_tuned(options: RunOptions, needs: Needs) -> tuple[RunOptions, TunedPlan | None]:
    """`options` with the steps and settings of a plan that was tuned for runs of this kind, where there is one.

    Steps that the user named stand, and so do all settings then; a command has no plan.
    """
    if options.command is not None or options.steps is not None:
        return options, None
    plan = find_tuned(key_of(options, needs), options.budget, options.ipc_cap)
    if plan is None:
        return options, None
    own, pda = split_pda({**options.settings, **plan.settings}, options.pda)
    return replace(options, steps=plan.steps, settings=own, pda=pda), plan


def take_compiled(
    options: RunOptions, maker: type[GeneratorBase] | None, needs: Needs
) -> tuple[RunOptions, Gain | None]:
    """`options` with compiling where kept profiles say that it pays; as they are where the user has decided.

    What it brings stands beside them, None where it is not to be done.
    """
    if maker is None or SETTING not in maker.info.settings or SETTING in options.settings:
        return options, None
    compiling = replace(options, settings={**options.settings, SETTING: "yes"})
    plain, compiled = (load_profile(key_of(each, needs)) for each in (options, compiling))
    if not plain or not compiled or options.batch_size not in (None, *{point.batch_size for point in compiled.points}):
        return options, None
    gain = gain_of(plain, compiled, options.budget, options.steps, block_of(options.keep).to_make(options.ipc_cap))
    if gain.images <= 0:
        return options, None
    return replace(compiling, batch_size=options.batch_size or gain.batch_size), gain


def plan_of(options: RunOptions, maker: type[GeneratorBase] | None, needs: Needs) -> tuple[Plan, Profile | None]:
    """The plan of a run, and the kept profile that it rests on, None where there is none that fits."""
    profile = None
    if maker is not None:
        profile = load_profile(key_of(options, needs))
    compiled = compiles(options.settings)
    if profile and not profile.doubled and options.batch_size is None and not compiled:
        profile = None  # its few batch sizes say nothing of the best one
    block = block_of(options.keep)
    made_cap = block.to_make(options.ipc_cap)
    plan = make_plan(
        maker, needs.weights, options.steps, options.batch_size, profile, options.budget, made_cap, compiled
    )
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
    if found := _foreseen(trial, record):
        plan = _foretold(plan, found, record)
    return record.model_copy(update={"plan": plan, "profile": {"source": "trial", "points": tried}})


def _foreseen(trial: Trial, record: Record) -> Span | None:
    """Images that are kept of the whole run: from its first part where it has one, else from the trials alone."""
    if trial.settled:
        return predict_on_the_clock(trial.settled.made, trial.settled.images_per_s, trial.settled.left_s)
    seconds = dict(trial.tried).get(trial.batch_size)
    if seconds is None:  # time ran out before the chosen size was tried; a smaller one would foretell far too little
        return None
    # batches are of generated images, before any is dropped and without their copies
    written = block_of(record.settings.get("keep", 1.0)).share * record.settings.get("pda", 1)
    return predict_on_the_clock(trial.made, written * trial.batch_size / seconds, trial.left_s)


def _foretold(plan: PlanPart, found: Span, record: Record) -> PlanPart:
    from evaluation.base.challenge import get_challenge

    classes, cap = get_challenge(record.dataset).classes, record.settings.get("ipc_cap")

    def ipc(images: float) -> float:
        return round(images / classes if cap is None else min(images / classes, cap), 3)

    interval = ipc(found.low), ipc(found.high)
    return plan.model_copy(update={"predicted_ipc": ipc(found.middle), "predicted_ipc_interval": interval})
