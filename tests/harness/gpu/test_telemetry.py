import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gpu.nvml import REASONS
from harness.gpu.telemetry import COLUMNS, Row, from_cells, read_telemetry, summarise, to_cells
from tests.harness.gpu.cards import card, row

THOUSANDTHS = st.integers(0, 10**7).map(lambda number: number / 1000)
WHOLE = st.integers(0, 10_000)
ROWS = st.builds(
    Row,
    seconds=THOUSANDTHS,
    card=st.just(0),
    clock_mhz=st.none() | WHOLE,
    memory_clock_mhz=st.none() | WHOLE,
    power_w=st.none() | THOUSANDTHS,
    temperature_c=st.none() | WHOLE,
    memory_gb=st.none() | THOUSANDTHS,
    utilisation=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    limits=st.none() | st.lists(st.sampled_from(list(REASONS.values())), unique=True).map("+".join),
    others=st.none() | st.integers(0, 3),
    unseen=st.none() | st.integers(0, 3),
)


@given(ROWS)
def test_a_row_comes_back_from_its_cells(told: Row) -> None:
    assert from_cells(to_cells(told)) == told


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    assert read_telemetry(path) == []
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, to_cells(row(0.0)), to_cells(row(1.0))])
        file.write("2.0,0,25")
    assert read_telemetry(path) == [row(0.0), row(1.0)]


@given(st.lists(ROWS, max_size=12))
def test_any_rows_have_a_summary(rows: list[Row]) -> None:
    gpu = summarise(rows, [card()], 1, None)
    assert gpu is not None and gpu.samples == len(rows)
    assert all(0 <= share <= 1 for share in gpu.limits.values())
    assert (gpu.throttled is None) == all(told.limits is None for told in rows)
    assert gpu.throttled == (None if gpu.throttled_share is None else gpu.throttled_share > 0)


def test_without_a_card_there_is_nothing_to_say() -> None:
    assert summarise([], [], 2, "550") is None


def test_the_figures_of_a_good_run() -> None:
    gpu = summarise([row(0.0), row(1.0, power_w=437.5, limits="power_cap")], [card()], 1, "550")
    assert gpu is not None
    assert (gpu.name, gpu.count, gpu.present, gpu.driver) == ("NVIDIA GeForce RTX 4090", 1, 1, "550")
    assert (gpu.power_w_mean, gpu.power_w_max, gpu.clock_mhz_median) == (375.0, 437.5, 2520)
    # at the maker's own limit a card is what it was sold as
    assert gpu.throttled is False and gpu.limits == {"power_cap": 0.5}
    assert gpu.others_present is False


@pytest.mark.parametrize(
    ("limits", "power_limit_w", "throttled"),
    [
        ("", 450.0, False),
        ("idle", 450.0, False),
        ("power_cap", 450.0, False),
        ("power_cap", 300.0, True),
        ("power_cap", None, False),
        ("thermal_software", 450.0, True),
        ("hardware_slowdown+power_brake", 450.0, True),
        ("clock_setting", 450.0, False),
    ],
)
def test_what_counts_as_throttled(limits: str, power_limit_w: float | None, throttled: bool) -> None:
    gpu = summarise([row(limits=limits)], [card(power_limit_w=power_limit_w)], 1, None)
    assert gpu is not None and gpu.throttled is throttled


@pytest.mark.parametrize(
    ("rows", "present"),
    [
        ([row()], False),
        ([row(), row(others=1)], True),
        ([row(others=None, unseen=None)], None),
        ([row(unseen=1)], None),  # a container: whose it is nobody can tell
        ([row(unseen=1), row(others=1)], True),
    ],
)
def test_company_is_known_or_it_is_not(rows: list[Row], present: bool | None) -> None:
    gpu = summarise(rows, [card()], 1, None)
    assert gpu is not None and gpu.others_present is present
