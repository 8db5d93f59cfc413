"""What NVML says of one GPU: clocks, power, temperature, throttling, energy; None for whatever it does not say."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from hyenaprof.model import DeviceState

_THROTTLE_REASONS = {
    0x002: "clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake",
}
"""Bits of nvmlClocksEventReasons (NVML API reference); idle and display clocks are no throttling."""
HARDWARE_THROTTLING = frozenset({"hw_slowdown", "hw_thermal_slowdown", "hw_power_brake"})
"""Reasons outside the driver's control: the clock under them says nothing about the operator."""

Number = TypeVar("Number", int, float)


class Nvml:
    """One GPU as NVML sees it; silent where the library, the driver or a permission is missing.

    Args:
        uuid: The device's UUID as CUDA gives it, without a prefix; asked by, never stored.
    """

    def __init__(self, uuid: str) -> None:
        self._library: ModuleType | None = None
        self._handle: Any = None  # an opaque pointer of the library
        try:
            self._library = import_module("pynvml")
        except ImportError:
            return
        self._ask("nvmlInit")
        for prefix in ("GPU-", "MIG-"):
            self._handle = self._handle or self._ask("nvmlDeviceGetHandleByUUID", f"{prefix}{uuid}".encode())

    def _ask(self, function: str, *arguments: Any) -> Any:  # noqa: ANN401 -- the library is untyped
        """The function's answer, None where it is missing or refuses."""
        call = getattr(self._library, function, None)
        if self._library is None or call is None:
            return None
        try:
            return call(*arguments)
        except self._library.NVMLError:
            return None

    def _of_device(self, function: str, *arguments: Any) -> Any:  # noqa: ANN401 -- likewise
        return None if self._handle is None else self._ask(function, self._handle, *arguments)

    def state(self) -> DeviceState | None:
        """Clocks, temperature, power, throttling and other processes now; None where NVML is not to be had."""
        if self._handle is None:
            return None
        return DeviceState(
            clock_mhz=self._of_device("nvmlDeviceGetClockInfo", self._constant("NVML_CLOCK_SM")),
            memory_clock_mhz=self._of_device("nvmlDeviceGetClockInfo", self._constant("NVML_CLOCK_MEM")),
            temperature_c=self._of_device("nvmlDeviceGetTemperature", self._constant("NVML_TEMPERATURE_GPU")),
            power_w=_scaled(self._of_device("nvmlDeviceGetPowerUsage"), 1e-3),
            throttle_reasons=throttle_names(self._throttle_bits()),
            other_processes=self._other_processes(),
        )

    def _constant(self, name: str) -> int:
        return int(getattr(self._library, name))

    def _throttle_bits(self) -> int:
        """The function and its constants were renamed in driver 535; both names exist from there on."""
        bits = self._of_device("nvmlDeviceGetCurrentClocksEventReasons")
        return int(bits if bits is not None else self._of_device("nvmlDeviceGetCurrentClocksThrottleReasons") or 0)

    def _other_processes(self) -> int | None:
        """Processes with a context on the device, this one left out.

        In a container this process may be listed under another number or not at all, so one is taken off in any case.
        """
        running = self._of_device("nvmlDeviceGetComputeRunningProcesses")
        if running is None:
            return None
        others = [process for process in running if process.pid != os.getpid()]
        return len(others) if len(others) < len(running) else max(0, len(running) - 1)

    def energy_j(self) -> float | None:
        """Joules since the driver was loaded (Volta and later)."""
        return _scaled(self._of_device("nvmlDeviceGetTotalEnergyConsumption"), 1e-3)

    def power_cap_w(self) -> int | None:
        """The power limit in watts."""
        limit_mw = self._of_device("nvmlDeviceGetPowerManagementLimit")
        return None if limit_mw is None else round(limit_mw / 1000)

    def driver(self) -> str | None:
        """The driver's version."""
        text = self._ask("nvmlSystemGetDriverVersion")
        return text.decode() if isinstance(text, bytes) else text


def throttle_names(bits: int) -> tuple[str, ...]:
    """Names of the reasons that are up, lowest bit first."""
    return tuple(name for bit, name in _THROTTLE_REASONS.items() if bits & bit)


def _scaled(value: Number | None, unit: float) -> float | None:
    return None if value is None else value * unit
