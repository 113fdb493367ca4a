from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning.batch_times import batch_seconds
from harness.planning.planner import images_in, predict_ipc
from harness.planning.profile import Sustained
from submission.worker.pacing import margin_s
from tests.harness.profiles import key, profile, start

# docs/protocol.md, the ablation of diffusion step reduction: steps, seconds per batch of 32, samples in 600 s
PUBLISHED = ((5, 2.5, 4544), (10, 5.0, 2560), (15, 7.5, 1792), (20, 10.0, 1376), (25, 12.5, 1120), (30, 15.0, 800))
BUDGET_S, BATCH = 600.0, 32


@pytest.mark.parametrize(("steps", "batch_s", "samples"), PUBLISHED)
def test_the_published_sample_counts_come_out(steps: int, batch_s: float, samples: int) -> None:
    overhead_s = BUDGET_S - samples / BATCH * batch_s  # all that was not in the loop over batches
    cifar = key(dataset="cifar100", device="cuda")
    found = predict_ipc(
        profile(
            lambda _steps, _batch: batch_s,
            [(steps, BATCH)],
            key=cifar,
            start=start(overhead_s - margin_s(BUDGET_S, "cuda")),
        ),
        BUDGET_S,
        steps,
    )
    assert found.images == samples
    assert found.ipc == samples / 100
    assert found.low <= samples <= found.high


def test_the_published_seconds_are_linear_in_steps() -> None:
    two = profile(lambda steps, _: 0.5 * steps, [(5, BATCH), (30, BATCH)])
    one = profile(lambda steps, _: 0.5 * steps, [(10, BATCH)])
    for steps, batch_s, _ in PUBLISHED:
        for measured in (two, one):
            assert batch_seconds(measured, steps, BATCH).middle == pytest.approx(batch_s)


counts = st.integers(1, 60)
sizes = st.sampled_from((1, 2, 4, 8, 16, 32, 64))
small = st.floats(0.0, 2.0)
shares = st.floats(0.01, 0.2)


@given(
    each=st.floats(0.001, 0.5),
    fixed=small,
    budget=st.floats(0.5, 600.0),
    more=st.floats(0.0, 100.0),
    start_s=st.floats(0.0, 20.0),
)
def test_more_budget_never_gives_less_and_the_interval_holds_the_middle(
    each: float, fixed: float, budget: float, more: float, start_s: float
) -> None:
    found = profile(lambda _k, n: fixed + each * n, [(8, 1), (8, 8), (8, 64)], start_s)
    first, second = predict_ipc(found, budget), predict_ipc(found, budget + more)
    full = max(fixed + each * n for n in (1, 8, 64))
    assert second.images >= first.images - 64 and (more < 2 * full or second.images >= first.images)
    for prediction in (first, second):
        assert prediction.low <= prediction.images <= prediction.high
    # what is predicted could be made in the time there is
    assert first.images * each <= max(0.0, budget - start_s) + 1e-6


@given(budget=st.floats(5.0, 600.0), cap=st.integers(1, 50))
def test_the_cap_on_images_per_class_holds(budget: float, cap: int) -> None:
    found = predict_ipc(profile(lambda _k, n: 0.01 * n, [(8, 1), (8, 64)]), budget, ipc_cap=cap)
    assert found.ipc <= cap and found.interval[1] <= cap


def test_the_fastest_batch_is_predicted_and_the_users_is_kept() -> None:
    measured = profile(lambda _k, n: 0.2 + 0.01 * n if n <= 32 else 0.03 * n, [(8, n) for n in (8, 16, 32, 64)])
    assert predict_ipc(measured, 60.0).batch_size == 32
    given = predict_ipc(measured, 60.0, 4, 24)
    assert (given.steps, given.batch_size) == (4, 24)


def test_a_run_that_writes_is_predicted_as_such() -> None:
    alone = profile(lambda _k, n: 0.01 * n, [(8, 32), (8, 64)])
    written = profile(lambda _k, n: 0.01 * n, [(8, 32), (8, 64)], sustained=Sustained(8, 64, 0.8, 0.79, 0.81, 9))
    assert batch_seconds(written, 8, 64).middle == 0.8
    assert batch_seconds(written, 8, 32).middle == pytest.approx(0.4)
    assert predict_ipc(written, 60.0).images < 0.82 * predict_ipc(alone, 60.0).images


def test_smaller_batches_fill_the_end() -> None:
    assert images_in(10.0, 64, 4.0) == 128
    assert images_in(10.0, 64, 4.0, [(1, 0.1), (8, 0.5), (32, 1.0), (64, 4.0)]) == 128 + 32 + 8 + 4
    assert images_in(-1.0, 64, 4.0) == 0


def test_an_empty_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="--refresh"):
        predict_ipc(profile(lambda _k, _n: 1.0, []), 60.0)


def test_the_published_overheads_are_mostly_a_start_and_a_time_for_each_image() -> None:
    """As docs/planning.md says: five of six rows, the sixth (30 steps) lies far off."""
    overheads = {steps: BUDGET_S - samples / BATCH * batch_s for steps, batch_s, samples in PUBLISHED}
    for steps, _, samples in PUBLISHED[:-1]:
        assert overheads[steps] == pytest.approx(142 + 0.023 * samples, rel=0.06)
    assert overheads[30] > 1.3 * (142 + 0.023 * 800)


@given(pda=st.integers(2, 9), size=sizes, cap=st.integers(1, 2000))
def test_copies_are_images_and_the_cap_counts_them(pda: int, size: int, cap: int) -> None:
    plain = profile(lambda _steps, batch: 0.1 + 0.01 * batch, [(8, size)])
    copied = profile(lambda _steps, batch: 0.1 + 0.01 * batch, [(8, size)], key=key(pda=pda))
    assert predict_ipc(copied, BUDGET_S).images == pda * predict_ipc(plain, BUDGET_S).images
    assert predict_ipc(copied, BUDGET_S, ipc_cap=cap).images == min(cap * 10, predict_ipc(copied, BUDGET_S).images)


def test_the_images_of_the_first_batch_count_once_it_is_made() -> None:
    measured = profile(lambda _k, n: 0.02 * n, [(8, 50)], start=start(10.0, first_images=8))
    assert predict_ipc(measured, 10.0 + 2.5 + margin_s(12.5, "cpu")).images == 8 + 2 * 50
    assert predict_ipc(measured, 9.0).images == 0


def test_the_margin_and_the_last_batchs_way_to_the_disk_are_kept_free() -> None:
    """Batches of a second, 10 s to start, 6.4 s to write the last: 43 of them fit where 50 would without that."""
    written = profile(lambda _k, _n: 1.0, [(8, 64)], start_s=10.0, write_s=0.1)
    assert predict_ipc(written, 60.0).images == 43 * 64
    assert predict_ipc(replace(written, write_s=0.0), 20.0).images == 9 * 64, "the margin costs the tenth"


@pytest.mark.parametrize(("faster", "chosen"), [(0.99, 32), (0.9, 64)])
def test_the_size_measured_longest_is_kept_unless_another_is_clearly_better(faster: float, chosen: int) -> None:
    measured = profile(
        lambda _k, n: 0.01 * n * (faster if n == 64 else 1.0),
        [(8, 32), (8, 64)],
        sustained=Sustained(8, 32, 0.32, 0.31, 0.33, 40),
    )
    assert predict_ipc(measured, 600.0).batch_size == chosen


def test_the_interval_has_the_starts_uncertainty_and_the_batchs() -> None:
    measured = profile(lambda _k, _n: 0.1, [(8, 1)], start_s=40.03)
    found = predict_ipc(measured, 100.0)
    left_s = 100.0 - margin_s(100.0, "cpu")
    assert found.images == int((left_s - 40.03) / 0.1)
    assert (found.low, found.high) == (int((left_s - 1.3 * 40.03) / 0.103), int((left_s - 0.7 * 40.03) / 0.097))
