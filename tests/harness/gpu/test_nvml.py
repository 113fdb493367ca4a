import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gpu.nvml import REASONS, Nvml, Reading, open_nvml, reason_names, visible
from tests.harness.gpu.cards import CALLS, FakeCards, card


def opened(calls: FakeCards) -> Nvml:
    nvml, why = open_nvml(calls)
    assert nvml is not None, why
    return nvml


def test_all_that_a_card_tells() -> None:
    nvml = opened(FakeCards(bits=0x24, pids=[7, 8]))
    assert nvml.driver() == "550.54.14"
    assert nvml.cards() == (card(),)
    assert nvml.reading(0) == Reading(
        clock_mhz=2520,
        memory_clock_mhz=2520,
        power_w=312.5,
        temperature_c=67,
        memory_gb=6.0,
        utilisation=0.93,
        limits=("power_cap", "thermal_software"),
    )
    assert nvml.processes(0) == frozenset({7, 8})


@given(st.frozensets(st.sampled_from(CALLS)), st.frozensets(st.sampled_from(CALLS)))
def test_whatever_fails_or_is_lacking_is_absent_and_nothing_breaks(
    broken: frozenset[str], gone: frozenset[str]
) -> None:
    nvml = opened(FakeCards(broken=broken, gone=gone))
    missing = broken | gone
    for found in nvml.cards():
        reading = nvml.reading(found.index)
        assert (reading.power_w is None) == ("nvmlDeviceGetPowerUsage" in missing)
        assert (nvml.processes(found.index) is None) == ("nvmlDeviceGetComputeRunningProcesses" in missing)
        both = {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"}
        assert (reading.limits is None) == (both <= missing)
    assert bool(nvml.cards()) == (not {"nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"} & missing)
    nvml.close()


def test_no_driver_is_a_normal_state() -> None:
    broken = frozenset({"nvmlInit"})
    nvml, why = open_nvml(FakeCards(broken=broken))
    assert nvml is None and "driver does not answer" in why
    none = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    assert open_nvml(FakeCards(broken=broken, error=none)) == (None, "no NVIDIA driver is installed")


def test_the_real_library_is_asked_and_says_what_is_the_case() -> None:
    nvml, why = open_nvml()
    if nvml is None:
        assert why
    else:  # on a machine with a card
        for found in nvml.cards():
            assert found.name and nvml.reading(found.index)
        nvml.close()


def test_every_call_is_in_the_real_library() -> None:
    for call in ("nvmlInit", *CALLS):
        assert callable(getattr(pynvml, call))


@given(st.integers(0, 2**64 - 1))
def test_any_mask_has_names_for_the_bits_that_are_known(bits: int) -> None:
    assert sum(bit for bit, name in REASONS.items() if name in reason_names(bits)) == bits & sum(REASONS)


@pytest.mark.parametrize(
    ("named", "seen"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("0,7,1", [0]),  # as in CUDA: nothing after an entry that names no card
        ("GPU-1", [1]),
        ("GPU-", []),  # names three
        ("MIG-12", [0, 1, 2]),
    ],
)
def test_the_cards_that_a_generator_sees(named: str | None, seen: list[int]) -> None:
    environ = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    assert [found.index for found in visible((card(0), card(1), card(2)), environ)] == seen
