"""The NVIDIA driver's management library (NVML): any call may fail, and then its value is absent.

Tested with a fake library; docs/gpu.md says what has not been seen on a real card.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

# why a clock is lower than it could be
REASONS = {
    pynvml.nvmlClocksEventReasonGpuIdle: "idle",
    pynvml.nvmlClocksEventReasonApplicationsClocksSetting: "clock_setting",
    pynvml.nvmlClocksEventReasonSwPowerCap: "power_cap",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hardware_slowdown",
    pynvml.nvmlClocksEventReasonSyncBoost: "sync_boost",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "thermal_software",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "thermal_hardware",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power_brake",
    pynvml.nvmlClocksEventReasonDisplayClockSetting: "display_clock",
}
# reasons that keep a card below what its vendor sold
THROTTLING = frozenset({"hardware_slowdown", "thermal_software", "thermal_hardware", "power_brake"})
POWER_CAP = "power_cap"
GIB = 2**30

T = TypeVar("T")


@dataclass(frozen=True)
class Card:
    """One card; None for what the driver does not report."""

    index: int  # in the driver's order
    name: str
    uuid: str | None = None
    memory_gb: float | None = None  # total, GiB
    power_limit_w: float | None = None  # as enforced now, watts
    default_power_limit_w: float | None = None  # as the vendor set it, watts


@dataclass(frozen=True)
class Reading:
    """What a card does at one moment; None for what the driver does not report."""

    clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_w: float | None = None  # watts
    temperature_c: int | None = None  # degrees Celsius
    memory_gb: float | None = None  # in use by any process, GiB
    utilisation: float | None = None  # fraction of the time in which the card was computing, in [0, 1]
    limits: tuple[str, ...] | None = None  # why the clock is lower than it could be, names of `REASONS`


class Nvml:
    """The library, initialised: the module `pynvml`, or a fake of it. No method raises."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handles: dict[int, Any] = {}

    def driver(self) -> str | None:
        """The driver's version."""
        return _answer(lambda: self._library.nvmlSystemGetDriverVersion())

    def cards(self) -> tuple[Card, ...]:
        """Every card in the machine that the driver lets this process open."""
        count = _answer(lambda: int(self._library.nvmlDeviceGetCount())) or 0
        return tuple(card for index in range(count) if (card := self._card(index)) is not None)

    def _card(self, index: int) -> Card | None:
        nvml = self._library
        handle = _answer(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        if handle is None:
            return None
        self._handles[index] = handle
        return Card(
            index=index,
            name=_answer(lambda: nvml.nvmlDeviceGetName(handle)) or "unnamed GPU",
            uuid=_answer(lambda: nvml.nvmlDeviceGetUUID(handle)),
            memory_gb=_answer(lambda: round(nvml.nvmlDeviceGetMemoryInfo(handle).total / GIB, 1)),
            power_limit_w=_answer(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
            default_power_limit_w=_answer(lambda: nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) / 1000),
        )

    def reading(self, index: int) -> Reading:
        """What one of `cards()` does now."""
        nvml, handle = self._library, self._handles[index]
        limits = _answer(lambda: reason_names(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)))
        if limits is None:  # the call's name in older drivers
            limits = _answer(lambda: reason_names(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)))
        return Reading(
            clock_mhz=_answer(lambda: nvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            memory_clock_mhz=_answer(lambda: nvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
            power_w=_answer(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
            temperature_c=_answer(lambda: nvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
            memory_gb=_answer(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / GIB),
            utilisation=_answer(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
            limits=limits,
        )

    def processes(self, index: int) -> frozenset[int] | None:
        """Ids of the processes that compute on one of `cards()`."""
        nvml, handle = self._library, self._handles[index]
        return _answer(lambda: frozenset(int(each.pid) for each in nvml.nvmlDeviceGetComputeRunningProcesses(handle)))

    def close(self) -> None:
        _answer(lambda: self._library.nvmlShutdown())


def _answer(ask: Callable[[], T]) -> T | None:
    """The answer of one call; None where the driver, the card or this version of the library has none."""
    try:
        return ask()
    except Exception:  # beside NVMLError: a name that does not decode, a struct without the field, a missing function
        return None


def open_nvml(library: Any = pynvml) -> tuple[Nvml | None, str]:
    """The library, or None and why there is none, which is normal on a machine without a GPU. The caller closes it."""
    try:
        library.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return None, "no NVIDIA driver is installed"
    except Exception as error:
        return None, f"the NVIDIA driver does not answer ({error})"
    return Nvml(library), ""


def reason_names(bits: int) -> tuple[str, ...]:
    """The names of the reasons in a bit mask; unknown bits are ignored."""
    return tuple(name for bit, name in REASONS.items() if bits & bit)


def throttling(power_limit_w: float | None, default_power_limit_w: float | None) -> frozenset[str]:
    """The reasons that count as throttling; a power cap is one only where the limit was lowered."""
    if power_limit_w is None or default_power_limit_w is None or power_limit_w >= default_power_limit_w:
        return THROTTLING
    return THROTTLING | {POWER_CAP}


def visible(cards: tuple[Card, ...], environ: Mapping[str, str]) -> tuple[Card, ...]:
    """The cards that a CUDA program in this environment can see.

    Numbers in CUDA_VISIBLE_DEVICES are the driver's, unless the user asked for another CUDA_DEVICE_ORDER. As in
    CUDA, entries after one that names no card are ignored. For parts of cards (MIG) all cards are returned.
    """
    named = environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or "MIG-" in named:
        return cards
    seen: list[Card] = []
    for entry in map(str.strip, named.split(",")):
        matching = [card for card in cards if _is_named(card, entry)]
        if len(matching) != 1 or matching[0] in seen:
            break
        seen += matching
    return tuple(seen)


def _is_named(card: Card, entry: str) -> bool:
    if entry.isdecimal():
        return card.index == int(entry)
    return bool(entry) and card.uuid is not None and card.uuid.startswith(entry)
