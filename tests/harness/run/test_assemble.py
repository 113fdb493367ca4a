"""What each step adds to the record."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.curve.real_equivalent import worth_of
from evaluation.submitted.folder import FolderContents
from harness.clock.launch import Needs
from harness.clock.ledger import Ledger
from harness.clock.supervisor import Ending
from harness.planning.batch_trial import BatchTrial
from harness.records.record import Outcome
from harness.run.assemble import first_record, with_accuracy, with_generation, with_trial
from harness.run.collect import Collected
from harness.run.generation import Generation
from harness.run.options import RunOptions
from harness.run.plan import make_plan
from submission.contract.generator import generator_names, get_generator
from tests.harness.records.samples import accuracy, record

STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def generation(started: float, ended: float, deadline: float) -> Generation:
    ending = Ending(
        started=started,
        deadline=deadline,
        ended=ended,
        started_at=STARTED_AT,
        reason="exited",
        killed_after_s=None,
        returncode=0,
        out_of_memory=False,
        stragglers=0,
        isolation="process",
    )
    return Generation(ending, Ledger(load=1.0, generate=ended - started - 1.0), "ipc", None, None)


def collected(images: int) -> Collected:
    labels = np.arange(images) % 10
    contents = FolderContents(
        images=ImageSet(np.zeros((images, 3, 32, 32), np.uint8), labels),
        paths=tuple(f"{label:03d}-{label}/{number // 10:06d}.png" for number, label in enumerate(labels)),
    )
    counts = np.bincount(labels, minlength=10)
    return Collected(contents=contents, per_class=tuple(int(count) for count in counts), images_hash="x")


@given(st.integers(1, 60), st.floats(1.0, 50.0), st.floats(0.0, 500.0), st.floats(0.0, 1e5))
def test_throughput_is_over_the_time_used_and_not_over_the_budget(
    images: int, used_s: float, unused_s: float, started: float
) -> None:
    run = generation(started, started + used_s, started + used_s + unused_s)
    told = with_generation(record(throughput=None), run, collected(images))
    assert told.throughput is not None and told.clock is not None
    assert told.throughput.images_per_s == pytest.approx(images / used_s, rel=1e-6)
    assert told.clock.ended - told.clock.started == pytest.approx(used_s, rel=1e-6)
    assert told.images == images and told.outcome is Outcome.OK


def test_the_ledger_and_the_end_stand_in_the_record() -> None:
    told = with_generation(record(), generation(100.0, 140.0, 160.0), collected(20))
    assert told.clock is not None
    assert (told.clock.ledger.load, told.clock.ledger.generate, told.clock.ended_by) == (1.0, 39.0, "ipc")
    assert told.clock.started_at == STARTED_AT.isoformat()
    assert told.ipc is not None and (told.ipc.mean, told.ipc.min, told.ipc.max, told.ipc.generated) == (2, 2, 2, None)


def test_a_run_without_an_image_has_no_throughput_to_speak_of() -> None:
    told = with_generation(record(), generation(100.0, 140.0, 160.0), Collected())
    assert told.throughput is not None and told.throughput.images_per_s == 0.0
    assert told.ipc is None and told.outcome is Outcome.NO_IMAGES


def test_the_first_record_is_an_interrupted_run_of_what_was_planned() -> None:
    options = RunOptions("digits", "noise", budget_s=30.0, ipc=4, seed=5, grace_s=2.0)
    plan = make_plan(options, get_generator("noise"), Needs(None, None, "cpu"))
    told = first_record(options, get_generator("noise"), plan, ["x"])
    assert (told.outcome, told.clock, told.budget_s, told.seed) == (Outcome.INTERRUPTED, None, 30.0, 5)
    assert told.settings == {"pda": 1, "ipc_cap": 4, "grace_s": 2.0}
    assert told.declared is not None and told.plan.batch_size == plan.batch_size
    command = RunOptions("digits", command="echo", ipc="none")
    told = first_record(command, None, make_plan(command, None, Needs(None, None, "cpu")), ["x"])
    assert told.settings == {"command": "echo", "ipc_cap": None, "grace_s": 0.0}
    assert (told.generator, told.declared, told.plan.steps, told.budget_s) == ("command", None, None, 60.0)


def test_trials_set_the_plan_and_its_prediction() -> None:
    told = with_trial(record(), BatchTrial(((8, 1.0), (16, 1.6)), 16, made=32, left_s=16.0))
    assert told.plan.batch_size == 16 and told.plan.predicted_ipc == 19.2
    assert told.plan.predicted_ipc_interval == (3.2 + 0.9 * 16, 3.2 + 1.1 * 16)
    points = [{"batch_size": 8, "seconds": 1.0}, {"batch_size": 16, "seconds": 1.6}]
    assert told.profile == {"source": "trial", "points": points}
    untried = with_trial(record(), BatchTrial(((8, 1.0),), 100, made=16, left_s=16.0))
    assert untried.plan.batch_size == 100 and untried.plan.predicted_ipc is None
    assert with_trial(record(), None) == record()


def test_the_cap_bounds_what_is_predicted_and_copies_count() -> None:
    capped = with_trial(record(settings={"ipc_cap": 5}), BatchTrial(((8, 0.1),), 8, made=16, left_s=50.0))
    assert capped.plan.predicted_ipc == 5
    copied = with_trial(record(settings={"pda": 5}), BatchTrial(((16, 1.6),), 16, made=160, left_s=16.0))
    assert copied.plan.predicted_ipc == 5 * 19.2


def test_who_copies() -> None:
    assert {name for name in generator_names() if get_generator(name).info.copies} == {"real", "rded", "selection"}


def test_the_smallest_and_the_largest_class_are_told_and_what_was_generated() -> None:
    told = with_generation(record(settings={"pda": 3}), generation(100.0, 140.0, 160.0), collected(25))
    assert told.ipc is not None and (told.ipc.mean, told.ipc.min, told.ipc.max) == (2.5, 2, 3)
    assert told.ipc.generated == 1, "images 0 to 2 of a class are one image and its copies"


def test_an_accuracy_is_worth_what_the_curve_of_its_own_epochs_says() -> None:
    digits = get_challenge("digits")
    full, preview = (with_accuracy(record(), accuracy(epochs=epochs), None, digits) for epochs in (1000, 7))
    assert full.real_equivalent is not None and full.real_equivalent_ipc == full.real_equivalent.ipc
    assert full.real_equivalent == worth_of(0.9, (0.88, 0.92), 1000, digits)
    assert (preview.real_equivalent, preview.real_equivalent_ipc) == (None, None)
