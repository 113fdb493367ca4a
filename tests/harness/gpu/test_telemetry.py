import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gpu.nvml import REASONS
from harness.gpu.telemetry import COLUMNS, Sample, read_telemetry, summarise, to_cells
from tests.harness.gpu.cards import card, sample

THOUSANDTHS = st.integers(0, 10**7).map(lambda number: number / 1000)
WHOLE = st.integers(0, 10_000)
SAMPLES = st.builds(
    Sample,
    seconds=THOUSANDTHS,
    card=st.just(0),
    clock_mhz=st.none() | WHOLE,
    memory_clock_mhz=st.none() | WHOLE,
    power_w=st.none() | THOUSANDTHS,
    temperature_c=st.none() | WHOLE,
    memory_gb=st.none() | THOUSANDTHS,
    utilisation=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    limits=st.none() | st.lists(st.sampled_from(list(REASONS.values())), unique=True).map(tuple),
    others=st.none() | st.integers(0, 3),
    unseen=st.none() | st.integers(0, 3),
)


@given(st.lists(SAMPLES, max_size=3))
def test_samples_come_back_from_their_file(samples: list[Sample]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "telemetry.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *map(to_cells, samples)])
        assert read_telemetry(path) == samples


def test_a_file_of_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(
        "seconds,card,clock_mhz,memory_clock_mhz,power_w,temperature_c,memory_gb,utilisation,limits,others,unseen\n"
        "0.012,0,2520,10251,312.500,67,6.000,0.930,none,0,0\n"
        "1.015,0,2490,,437.500,,6.000,1.000,power_cap+thermal_software,,\n"
        "2.015,0,,,,,,,,,\n"
    )
    limited = ("power_cap", "thermal_software")
    assert read_telemetry(path) == [
        sample(0.012),
        Sample(seconds=1.015, card=0, clock_mhz=2490, power_w=437.5, memory_gb=6.0, utilisation=1.0, limits=limited),
        Sample(seconds=2.015, card=0),
    ]


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    assert read_telemetry(path) == []
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, to_cells(sample(0.0)), to_cells(sample(1.0))])
        file.write("2.0,0,25")
    assert read_telemetry(path) == [sample(0.0), sample(1.0)]


@given(st.lists(SAMPLES, max_size=12))
def test_any_rows_have_a_summary(rows: list[Sample]) -> None:
    gpu = summarise(rows, [card()], 1, None)
    assert gpu is not None and gpu.samples == len(rows)
    assert all(0 <= share <= 1 for share in gpu.limits.values())
    assert (gpu.throttled is None) == all(told.limits is None for told in rows)
    assert gpu.throttled == (None if gpu.throttled_share is None else gpu.throttled_share > 0)


def test_without_a_card_there_is_nothing_to_say() -> None:
    assert summarise([], [], 2, "550") is None


def test_the_figures_of_a_good_run() -> None:
    gpu = summarise([sample(0.0), sample(1.0, power_w=437.5, limits=("power_cap",))], [card()], 1, "550")
    assert gpu is not None
    assert (gpu.name, gpu.count, gpu.present, gpu.driver) == ("NVIDIA GeForce RTX 4090", 1, 1, "550")
    assert (gpu.power_w_mean, gpu.power_w_max, gpu.clock_mhz_median) == (375.0, 437.5, 2520)
    # at the maker's own limit a card is what it was sold as
    assert gpu.throttled is False and gpu.limits == {"power_cap": 0.5}
    assert gpu.others_present is False


@pytest.mark.parametrize(
    ("limits", "power_limit_w", "throttled"),
    [
        ((), 450.0, False),
        (("idle",), 450.0, False),
        (("power_cap",), 450.0, False),
        (("power_cap",), 300.0, True),
        (("power_cap",), None, False),
        (("thermal_software",), 450.0, True),
        (("hardware_slowdown", "power_brake"), 450.0, True),
        (("clock_setting",), 450.0, False),
    ],
)
def test_what_counts_as_throttled(limits: tuple[str, ...], power_limit_w: float | None, throttled: bool) -> None:
    gpu = summarise([sample(limits=limits)], [card(power_limit_w=power_limit_w)], 1, None)
    assert gpu is not None and gpu.throttled is throttled


@pytest.mark.parametrize(
    ("rows", "present"),
    [
        ([sample()], False),
        ([sample(), sample(others=1)], True),
        ([sample(others=None, unseen=None)], None),
        ([sample(unseen=1)], None),  # a container: whose it is nobody can tell
        ([sample(unseen=1), sample(others=1)], True),
    ],
)
def test_company_is_known_or_it_is_not(rows: list[Sample], present: bool | None) -> None:
    gpu = summarise(rows, [card()], 1, None)
    assert gpu is not None and gpu.others_present is present
