"""The plan of a run: what it does with its budget, decided once, before the clock starts."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from evaluation.base.machine import resolve_device
from harness.cards.calibration import calibrate
from harness.cards.other_card import ReferenceCard, RelativeSpeed, get_card, relative_speed, scaled_budget
from harness.clock.launch import Needs
from harness.planning.batch_times import batch_seconds, batch_sizes
from harness.planning.planner import CompileGain, compile_gain, predict_ipc
from harness.planning.profile import Profile, ProfileKey, load_profile, profile_key
from harness.records.record import OtherCardPart
from harness.report.console import Voice
from harness.report.sentences import describe_other_card
from harness.run.options import RunOptions
from harness.tuning.stored_choice import TunedChoice, load_choice
from harness.tuning.successive_halving import split_pda
from submission.contract.generator import GeneratorBase
from submission.contract.settings import COMPILE, compiles


@dataclass(frozen=True)
class Plan:
    """What a run does with its budget, and what each decision rests on.

    Attributes:
        budget_s: seconds on this machine's clock.
        steps, batch_size: denoising steps, and images per call of the generator; None where a command decides.
        ipc_cap: images per class at which it stops; None for as many as the clock allows.
        predicted_ipc, predicted_ipc_interval: what the budget should give; None where nothing has been measured.
        tries_batch_sizes: whether the worker tries batch sizes on the clock.
        batch_seconds: (images, seconds) of batches of these steps as the profile has them, for the pacer.
        profile: what the batch size and the prediction come from; None where no stored profile fits.
        tuned: what steps and settings come from; None where `tune` has stored nothing for such runs.
        compile_gain: what compiling should bring; None where the profiles do not say that it pays.
        other_card: whose budget it is; None for the user's or the challenge's own.
    """

    budget_s: float
    steps: int | None
    batch_size: int | None
    settings: Mapping[str, str]
    pda: int
    ipc_cap: int | None
    predicted_ipc: float | None = None
    predicted_ipc_interval: tuple[float, float] | None = None
    tries_batch_sizes: bool = False
    batch_seconds: tuple[tuple[int, float], ...] = ()
    profile: Profile | None = None
    tuned: TunedChoice | None = None
    compile_gain: CompileGain | None = None
    other_card: OtherCardPart | None = None


def card_budget(options: RunOptions, voice: Voice) -> OtherCardPart | None:
    """How long the budget of the card that `--as` names lasts here; None without one.

    Raises:
        ValueError: this machine cannot be measured, or is too fast or too slow to stand for that card.
    """
    if options.as_card is None:
        return None
    card, device = get_card(options.as_card), resolve_device(options.device)
    voice.say(f"Measuring this machine against one {card.title}, before the clock.")
    part = other_card_part(card, device, options.budget, relative_speed(card, calibrate(device)))
    voice.say(describe_other_card(part))
    return part


def other_card_part(card: ReferenceCard, device: str, budget_s: float, speed: RelativeSpeed) -> OtherCardPart:
    """What the record says of it. Raises ValueError where the scaled budget makes no sense."""
    part = {
        "as": card.name,
        "ratio": speed.ratio,
        "interval": (speed.low, speed.high),
        "budget": budget_s,
        "scaled_budget": scaled_budget(budget_s, card, speed),
        "device": device,
        "parts": {name: asdict(part) for name, part in speed.parts.items()},
    }
    return OtherCardPart.model_validate(part)


def make_plan(
    options: RunOptions,
    maker: type[GeneratorBase] | None,
    needs: Needs,
    other_card: OtherCardPart | None = None,
    find_choice: Callable[[ProfileKey, float, int | None], TunedChoice | None] = load_choice,
    find_profile: Callable[[ProfileKey], Profile | None] = load_profile,
) -> Plan:
    """What the user asked for, else what `tune` chose, else what a profile says is best, else the generator's default.

    Steps that the user names stand, and so do all settings then. Compiling is decided here unless the user has set it.

    Args:
        maker: the generator; None for a command, which decides everything itself.
        other_card: its scaled budget is taken in place of the options'.
        find_choice: what `tune` has stored for runs of this kind, budget and cap.
        find_profile: the stored profile of a key.
    """
    plan = Plan(
        budget_s=other_card.scaled_budget if other_card else options.budget,
        steps=options.steps,
        batch_size=options.batch_size,
        settings=options.settings,
        pda=options.pda,
        ipc_cap=options.ipc_cap,
        other_card=other_card,
    )
    if maker is None:
        return plan
    key = profile_key(maker.info.name, options.dataset, plan.settings, needs.weights, needs.device, plan.pda)
    if plan.steps is None and (choice := find_choice(key, plan.budget_s, plan.ipc_cap)):
        settings, pda = split_pda({**plan.settings, **choice.settings}, plan.pda)
        plan = replace(plan, steps=choice.steps, settings=settings, pda=pda, tuned=choice)

    def profile_with(settings: Mapping[str, str]) -> Profile | None:
        return find_profile(replace(key, settings=dict(sorted(settings.items())), pda=plan.pda))

    profile = profile_with(plan.settings)
    if profile and COMPILE in maker.info.settings and COMPILE.name not in plan.settings:
        compiled = profile_with({**plan.settings, COMPILE.name: "yes"})
        if compiled and plan.batch_size in (None, *{point.batch_size for point in compiled.points}):
            gain = compile_gain(profile, compiled, plan.budget_s, plan.steps, plan.ipc_cap)
            if gain.images > 0:
                profile, size = compiled, plan.batch_size or gain.batch_size
                settings = {**plan.settings, COMPILE.name: "yes"}
                plan = replace(plan, settings=settings, batch_size=size, compile_gain=gain)
    # a profile of few batch sizes says nothing of the best one, and each size that is tried would be compiled for
    is_compiled = compiles(plan.settings)
    if profile is None or not (profile.doubled or plan.batch_size or is_compiled):
        return replace(
            plan,
            steps=plan.steps or maker.default_steps(needs.weights),
            batch_size=plan.batch_size or maker.info.default_batch,
            tries_batch_sizes=plan.batch_size is None and not is_compiled,
        )
    found = predict_ipc(profile, plan.budget_s, plan.steps, plan.batch_size, plan.ipc_cap)
    return replace(
        plan,
        steps=found.steps,
        batch_size=found.batch_size,
        predicted_ipc=found.ipc,
        predicted_ipc_interval=found.interval,
        batch_seconds=tuple((size, batch_seconds(profile, found.steps, size).middle) for size in batch_sizes(profile)),
        profile=profile,
    )


def plan_sentences(plan: Plan) -> list[str]:
    """What the plan rests on, one sentence each; none where nothing was measured."""
    sentences = []
    if plan.tuned:
        sentences.append(plan.tuned.sentence)
    if plan.compile_gain:
        sentences.append(plan.compile_gain.sentence(plan.budget_s))
    if plan.profile and plan.predicted_ipc_interval:
        low, high = plan.predicted_ipc_interval
        sentences.append(
            f"By the profile of {plan.profile.measured_at[:10]}: batch {plan.batch_size}, steps {plan.steps}, "
            f"{plan.predicted_ipc:.4g} [{low:.4g}, {high:.4g}] images per class predicted."
        )
    return sentences
