"""What a person should know of device and machine before a serious run; nothing is changed."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from hyenaprof.devices.base import Device
from hyenaprof.devices.procfs import read_text
from hyenaprof.environment import allocator_in_use
from hyenaprof.model import DeviceState
from hyenaprof.pipe import Finding
from hyenaprof.units import format_bytes

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_PRESSURE = Path("/proc/pressure/cpu")
_QUIET_LOAD = 0.3
"""Runnable processes on average, above which something else is at work: the worker itself was only just started."""
_QUIET_PRESSURE_PERCENT = 2.0


def inspect(device: Device) -> tuple[Finding, ...]:
    """Gives the findings on a device and on the machine it stands in."""
    facts = device.describe()
    name = facts.get("gpu") or facts.get("cpu") or device.kind
    memory = format_bytes(device.available_bytes())
    return (
        Finding(topic="device", state=f"{device.kind}: {name}; {memory} may be used"),
        *_clocks(device.state(), device.asynchronous),
        _governor(read_text(_GOVERNOR)),
        _load(os.getloadavg()[0], read_text(_PRESSURE)),
        _allocator(allocator_in_use()),
        _threads(torch.get_num_threads(), len(os.sched_getaffinity(0))),
        *(Finding(topic="warning", state=warning) for warning in device.warnings()),
    )


def _clocks(state: DeviceState | None, is_gpu: bool) -> tuple[Finding, ...]:
    if not is_gpu:
        return ()
    if state is None:
        advice = "install nvidia-ml-py and a driver that lets it read; energy and throttling are unknown without"
        return (Finding(topic="clocks", state="not readable", advice=advice),)
    throttled = ", ".join(state.throttle_reasons) or "none"
    clock = "unknown" if state.clock_mhz is None else f"{state.clock_mhz:.0f} MHz now"
    lock = "lock them for a serious run: nvidia-smi -pm 1; nvidia-smi -lgc MHZ (undo with nvidia-smi -rgc)"
    found = [Finding(topic="clocks", state=f"{clock}; throttle reasons: {throttled}", advice=lock)]
    if state.other_processes:
        advice = "end them: they share compute, cache and bandwidth"
        found.append(Finding(topic="others", state=f"{state.other_processes} processes on the device", advice=advice))
    return tuple(found)


def _governor(governor: str | None) -> Finding:
    if governor is None:
        return Finding(topic="governor", state="not shown by this system (a virtual machine, perhaps)")
    chosen = governor.strip()
    advice = None if chosen == "performance" else "cpupower frequency-set -g performance"
    return Finding(topic="governor", state=chosen, advice=advice)


def _load(load: float, pressure: str | None) -> Finding:
    waited = _pressure_percent(pressure)
    state = f"{load:.2f} runnable processes over the last minute"
    if waited is not None:
        state += f"; someone waited for a CPU {waited:.0f} % of the last 10 s"
    busy = load > _QUIET_LOAD and (waited is None or waited > _QUIET_PRESSURE_PERCENT)
    return Finding(
        topic="load", state=state, advice="end other work first: times will be marked contended" if busy else None
    )


def _pressure_percent(text: str | None) -> float | None:
    """`some avg10` of /proc/pressure/cpu."""
    words = (text or "").split()
    return next((float(word.removeprefix("avg10=")) for word in words if word.startswith("avg10=")), None)


def _allocator(allocator: str) -> Finding:
    meaning = {
        "warm": "freed host memory is kept, so that large tensors do not fault in fresh pages on every call",
        "default": "glibc's own: tensors above 32 MiB fault in fresh pages on every call",
    }.get(allocator, "set by your environment; it is part of the fingerprint")
    return Finding(topic="allocator", state=f"{allocator} ({meaning})")


def _threads(threads: int, cpus: int) -> Finding:
    advice = f"more threads than CPUs: give --threads {cpus}" if threads > cpus else None
    return Finding(topic="threads", state=f"{threads} on {cpus} CPUs", advice=advice)
