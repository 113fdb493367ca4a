"""Stand-ins for the driver's library. Nobody has held them against a card: they are as its documentation says."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

from harness.gpu.nvml import Card
from harness.gpu.telemetry import Sample

OTHER_PID = 1  # always there, never ours


@dataclass
class FakeCards:
    """Some cards; `broken` calls fail as a driver's do that lacks them, and `gone` ones are not in the library."""

    count: int = 1
    name: str = "NVIDIA GeForce RTX 4090"
    bits: int = 0
    pids: list[int] = field(default_factory=lambda: [os.getpid()])
    broken: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    closed: int = 0
    error: Exception = field(default_factory=lambda: pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED))

    def __getattr__(self, call: str) -> Any:
        answers: dict[str, Any] = {
            "nvmlInit": None,
            "nvmlSystemGetDriverVersion": "550.54.14",
            "nvmlDeviceGetCount": self.count,
            "nvmlDeviceGetName": self.name,
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24 * 2**30, used=6 * 2**30, free=18 * 2**30),
            "nvmlDeviceGetEnforcedPowerLimit": 450_000,
            "nvmlDeviceGetPowerManagementDefaultLimit": 450_000,
            "nvmlDeviceGetClockInfo": 2520,
            "nvmlDeviceGetPowerUsage": 312_500,
            "nvmlDeviceGetTemperature": 67,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=93, memory=40),
            "nvmlDeviceGetCurrentClocksEventReasons": self.bits,
            "nvmlDeviceGetCurrentClocksThrottleReasons": self.bits,
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=pid, usedGpuMemory=None) for pid in self.pids],
        }
        if call in self.gone or (call not in answers and call not in DOERS):
            raise AttributeError(call)

        def answer(*arguments: Any) -> Any:
            if call in self.broken:
                raise self.error
            if call == "nvmlShutdown":
                self.closed += 1
            if call == "nvmlDeviceGetHandleByIndex":
                return f"handle {arguments[0]}"
            if call == "nvmlDeviceGetUUID":
                return f"GPU-{arguments[0][-1]}-0000"
            return answers.get(call)

        return answer


DOERS = frozenset({"nvmlShutdown", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUUID"})
CALLS = (
    *DOERS,
    "nvmlSystemGetDriverVersion",
    "nvmlDeviceGetCount",
    "nvmlDeviceGetName",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetPowerManagementDefaultLimit",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetComputeRunningProcesses",
)


def card(index: int = 0, **changes: Any) -> Card:
    told: dict[str, Any] = {
        "index": index,
        "name": "NVIDIA GeForce RTX 4090",
        "uuid": f"GPU-{index}-0000",
        "memory_gb": 24.0,
        "power_limit_w": 450.0,
        "default_power_limit_w": 450.0,
    }
    return Card(**{**told, **changes})


def sample(seconds: float = 0.0, index: int = 0, **changes: Any) -> Sample:
    told: dict[str, Any] = {
        "seconds": seconds,
        "card": index,
        "clock_mhz": 2520,
        "memory_clock_mhz": 10_251,
        "power_w": 312.5,
        "temperature_c": 67,
        "memory_gb": 6.0,
        "utilisation": 0.93,
        "limits": (),
        "others": 0,
        "unseen": 0,
    }
    return Sample(**{**told, **changes})
