"""The NVIDIA driver's management library, call by call: each may fail, and then its figure is absent.

Written against the library's documentation and tested with a stand-in; see docs/gpu.md for what no card has shown yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# nvml.h, nvmlClocksEventReasons: why a clock is lower than it could be
REASONS = {
    0x001: "idle",
    0x002: "clock_setting",
    0x004: "power_cap",
    0x008: "hardware_slowdown",
    0x010: "sync_boost",
    0x020: "thermal_software",
    0x040: "thermal_hardware",
    0x080: "power_brake",
    0x100: "display_clock",
}
# reasons that hold a card back from what its maker sold
THROTTLING = frozenset({"hardware_slowdown", "thermal_software", "thermal_hardware", "power_brake"})
POWER_CAP = "power_cap"
GIB = 2**30
# nvml.h, nvmlClockType_t and nvmlTemperatureSensors_t
_SM_CLOCK, _MEMORY_CLOCK, _CORE_SENSOR = 1, 2, 0
_LIBRARY_NOT_FOUND = 12  # nvmlReturn_t


class Calls(Protocol):
    """What is used of the module `pynvml`; a stand-in has to have no more than this, and may lack any but the first."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlShutdown(self) -> None: ...  # noqa: N802
    def nvmlSystemGetDriverVersion(self) -> str: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any) -> str: ...  # noqa: N802
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetClockInfo(self, handle: Any, kind: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> Any: ...  # noqa: N802


@dataclass(frozen=True)
class Card:
    """One card; None for what the driver does not tell.

    Attributes:
        index: in the driver's order.
        memory_gb: in all, GiB.
        power_limit_w, default_power_limit_w: as enforced now, and as the maker set it, watts.
    """

    index: int
    name: str
    uuid: str | None = None
    memory_gb: float | None = None
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None


@dataclass(frozen=True)
class Reading:
    """What a card did at one moment; None for what the driver does not tell.

    Attributes:
        clock_mhz, memory_clock_mhz: MHz.
        power_w: watts.
        temperature_c: degrees Celsius.
        memory_gb: in use by anybody, GiB.
        utilisation: part of the time in which the card computed, in [0, 1].
        limits: why the clock is lower than it could be, names of `REASONS`.
        processes: ids of those that compute on it.
    """

    clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    memory_gb: float | None = None
    utilisation: float | None = None
    limits: tuple[str, ...] | None = None
    processes: frozenset[int] | None = None


class Nvml:
    """The library, open."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._handles: dict[int, Any] = {}

    def driver(self) -> str | None:
        """The driver's version."""
        return self._ask("nvmlSystemGetDriverVersion")

    def cards(self) -> tuple[Card, ...]:
        """Every card in the machine that the driver opens for us."""
        found = (self._card(index) for index in range(self._ask("nvmlDeviceGetCount") or 0))
        return tuple(card for card in found if card is not None)

    def reading(self, index: int) -> Reading:
        """What the card does now."""
        handle = self._handles[index]
        power_mw = self._ask("nvmlDeviceGetPowerUsage", handle)
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        rates = self._ask("nvmlDeviceGetUtilizationRates", handle)
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
        if bits is None:  # older drivers have it under its first name
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
        processes = self._ask("nvmlDeviceGetComputeRunningProcesses", handle)
        return Reading(
            clock_mhz=self._ask("nvmlDeviceGetClockInfo", handle, _SM_CLOCK),
            memory_clock_mhz=self._ask("nvmlDeviceGetClockInfo", handle, _MEMORY_CLOCK),
            power_w=None if power_mw is None else power_mw / 1000,
            temperature_c=self._ask("nvmlDeviceGetTemperature", handle, _CORE_SENSOR),
            memory_gb=None if memory is None else memory.used / GIB,
            utilisation=None if rates is None else rates.gpu / 100,
            limits=None if bits is None else limits(bits),
            processes=None if processes is None else frozenset(int(process.pid) for process in processes),
        )

    def close(self) -> None:
        self._ask("nvmlShutdown")

    def _card(self, index: int) -> Card | None:
        handle = self._ask("nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            return None
        self._handles[index] = handle
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        limit_mw = self._ask("nvmlDeviceGetEnforcedPowerLimit", handle)
        default_mw = self._ask("nvmlDeviceGetPowerManagementDefaultLimit", handle)
        return Card(
            index=index,
            name=self._ask("nvmlDeviceGetName", handle) or "a card without a name",
            uuid=self._ask("nvmlDeviceGetUUID", handle),
            memory_gb=None if memory is None else round(memory.total / GIB, 1),
            power_limit_w=None if limit_mw is None else limit_mw / 1000,
            default_power_limit_w=None if default_mw is None else default_mw / 1000,
        )

    def _ask(self, call: str, *arguments: Any) -> Any:
        """The answer, None where the driver, the card or this version of the library has none."""
        try:
            return getattr(self._calls, call)(*arguments)
        # a name in another encoding is a ValueError; a struct that changed lacks an attribute
        except (self._calls.NVMLError, AttributeError, ValueError):
            return None


def open_nvml(calls: Calls | None = None) -> tuple[Nvml | None, str]:
    """The library, or None and why there is none: a normal state. Whoever opens it closes it.

    Args:
        calls: a stand-in; None for the real library.
    """
    if calls is None:
        try:
            import pynvml
        except ImportError:
            return None, "the package nvidia-ml-py is not installed"
        calls = pynvml
    try:
        calls.nvmlInit()
    except calls.NVMLError as error:
        if getattr(error, "value", None) == _LIBRARY_NOT_FOUND:
            return None, "no NVIDIA driver is installed"
        return None, f"the NVIDIA driver does not answer ({error})"
    return Nvml(calls), ""


def limits(bits: int) -> tuple[str, ...]:
    """The names of the reasons in a bit mask; those that this list does not know are left out."""
    return tuple(name for bit, name in REASONS.items() if bits & bit)


def throttling(power_limit_w: float | None, default_power_limit_w: float | None) -> frozenset[str]:
    """The reasons that count as throttling: a power cap is one where somebody lowered the limit."""
    if power_limit_w is None or default_power_limit_w is None or power_limit_w >= default_power_limit_w:
        return THROTTLING
    return THROTTLING | {POWER_CAP}


def visible(cards: tuple[Card, ...], environ: Mapping[str, str]) -> tuple[Card, ...]:
    """The cards that a CUDA program in this environment can see.

    Numbers in CUDA_VISIBLE_DEVICES are taken for the driver's, which holds unless unlike cards are mixed. As in CUDA,
    what comes after an entry that names no card is not seen. For parts of cards (MIG) all cards are returned.
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
