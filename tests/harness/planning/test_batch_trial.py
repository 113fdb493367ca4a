import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning.batch_trial import BatchTrial, Pace, settled_in, trial_in


def test_trials_predict_where_the_chosen_size_was_tried() -> None:
    found = BatchTrial(((8, 1.0), (16, 1.6)), 16, made=32, left_s=16.0).predict_images(pda=1)
    assert found is not None and found.low < found.middle == 32 + 160 < found.high
    assert BatchTrial(((8, 1.0),), 100, made=16, left_s=16.0).predict_images(pda=1) is None


def test_copies_are_predicted_as_well() -> None:
    """The worker says how many files it had queued; its batches are of generated images."""
    found = BatchTrial(((8, 1.0), (16, 1.6)), 16, made=160, left_s=16.0).predict_images(pda=5)
    assert found is not None and found.middle == 5 * (32 + 160)


def test_a_trial_is_read_from_the_events_and_strangers_lines_are_passed_over() -> None:
    events = [
        {"t": 1.0, "trial": "nonsense", "batch_size": 8, "images": 8},
        {"t": 2.0, "trial": [[8, 0.5]], "batch_size": 8, "images": 16},
    ]
    found = trial_in(events, deadline=12.0, device="cpu")
    assert found is not None and (found.tried, found.batch_size, found.made) == (((8, 0.5),), 8, 16)
    assert 9.5 < found.left_s < 10.0
    assert trial_in([{"t": 1.0}], 12.0, "cpu") is None


def test_what_followed_the_trials_is_believed_more_than_they_are() -> None:
    """It counts files, so PDA's factor is not applied to it again."""
    followed = BatchTrial(((8, 0.1),), 8, made=80, left_s=100.0, settled=Pace(1000, 10.0, 85.0))
    found = followed.predict_images(pda=5)
    assert found is not None and found.middle == 1850


@given(rate=st.floats(1.0, 1e4), queue=st.integers(0, 2000), left=st.floats(5.0, 600.0))
def test_a_queue_that_fills_first_is_not_taken_for_the_pace(rate: float, queue: int, left: float) -> None:
    """Images go into an empty queue at once, whatever the disk can do."""
    events = [{"t": 100.0, "images": 0}]
    events += [{"t": 100.0 + left * i / 100, "images": round(queue + rate * left * i / 100)} for i in range(1, 100)]
    found = settled_in([{"t": 99.0, "phase": "profile"}, *events], 100.0, left)
    assert found is not None
    assert found.made + found.images_per_s * found.left_s == pytest.approx(queue + rate * left, rel=0.1, abs=15)


def test_too_few_batches_predict_nothing() -> None:
    assert settled_in([{"t": 5.0, "images": 64}, {"t": 10.0, "images": 128}], 0.0, 100.0) is None
    assert settled_in([], 0.0, 0.0) is None
