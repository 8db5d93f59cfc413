from __future__ import annotations

import os
import sys
import types

import pytest

from hyenaprof.devices.nvml import Nvml, throttle_names


class NVMLError(Exception):
    pass


def library(**answers):
    """A pynvml of which only the named functions answer; an answer that is an exception is raised."""
    module = types.ModuleType("pynvml")
    module.NVMLError = NVMLError
    module.NVML_CLOCK_SM, module.NVML_CLOCK_MEM, module.NVML_TEMPERATURE_GPU = 1, 2, 0

    def function(answer):
        def call(*arguments):
            value = answer(*arguments) if callable(answer) else answer
            if isinstance(value, Exception):
                raise value
            return value

        return call

    known = {"nvmlInit": None, "nvmlDeviceGetHandleByUUID": lambda uuid: uuid if uuid == b"GPU-1234" else NVMLError()}
    for name, answer in (known | answers).items():
        setattr(module, name, function(answer))
    return module


def nvml(monkeypatch, **answers):
    monkeypatch.setitem(sys.modules, "pynvml", library(**answers))
    return Nvml("1234")


def process(pid):
    return types.SimpleNamespace(pid=pid)


def test_a_full_state_is_read_in_base_units(monkeypatch):
    state = nvml(
        monkeypatch,
        nvmlDeviceGetClockInfo=lambda _, which: {1: 1755, 2: 2619}[which],
        nvmlDeviceGetTemperature=61,
        nvmlDeviceGetPowerUsage=412_500,
        nvmlDeviceGetCurrentClocksEventReasons=0x44,
        nvmlDeviceGetComputeRunningProcesses=[process(os.getpid()), process(7), process(8)],
    ).state()
    assert (state.clock_mhz, state.memory_clock_mhz, state.temperature_c, state.power_w) == (1755, 2619, 61, 412.5)
    assert state.throttle_reasons == ("sw_power_cap", "hw_thermal_slowdown")
    assert state.other_processes == 2


def test_what_the_driver_refuses_is_unknown_and_the_rest_is_read(monkeypatch):
    state = nvml(
        monkeypatch,
        nvmlDeviceGetClockInfo=NVMLError("not supported"),
        nvmlDeviceGetTemperature=61,
        nvmlDeviceGetPowerUsage=NVMLError("no permission"),
    ).state()
    assert (state.clock_mhz, state.power_w, state.other_processes) == (None, None, None)
    assert state.temperature_c == 61
    assert state.throttle_reasons == ()


def test_an_older_drivers_name_for_throttle_reasons_is_understood(monkeypatch):
    state = nvml(monkeypatch, nvmlDeviceGetCurrentClocksThrottleReasons=0x8).state()
    assert state.throttle_reasons == ("hw_slowdown",)


def test_in_a_container_this_process_goes_by_another_number(monkeypatch):
    listed = [process(4_000_001), process(4_000_002)]
    assert nvml(monkeypatch, nvmlDeviceGetComputeRunningProcesses=listed).state().other_processes == 1
    assert nvml(monkeypatch, nvmlDeviceGetComputeRunningProcesses=[]).state().other_processes == 0


def test_energy_and_power_limit_are_joules_and_watts(monkeypatch):
    device = nvml(monkeypatch, nvmlDeviceGetTotalEnergyConsumption=1_234_567, nvmlDeviceGetPowerManagementLimit=700_000)
    assert device.energy_j() == pytest.approx(1234.567)
    assert device.power_cap_w() == 700


def test_a_partition_of_a_gpu_is_found_by_its_own_prefix(monkeypatch):
    answers = {"nvmlDeviceGetHandleByUUID": lambda uuid: uuid if uuid == b"MIG-1234" else NVMLError()}
    assert nvml(monkeypatch, nvmlDeviceGetTemperature=50, **answers).state().temperature_c == 50


def test_without_a_driver_everything_is_unknown(monkeypatch):
    device = nvml(monkeypatch, nvmlInit=NVMLError("no driver"), nvmlDeviceGetHandleByUUID=NVMLError())
    assert (device.state(), device.energy_j(), device.power_cap_w(), device.driver()) == (None, None, None, None)


def test_without_the_library_everything_is_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    device = Nvml("1234")
    assert (device.state(), device.energy_j(), device.power_cap_w(), device.driver()) == (None, None, None, None)


@pytest.mark.parametrize("version", ["575.57.08", b"575.57.08"])
def test_the_drivers_version_is_text(monkeypatch, version):
    assert nvml(monkeypatch, nvmlSystemGetDriverVersion=version).driver() == "575.57.08"


def test_idle_and_display_clocks_are_no_throttling():
    assert throttle_names(0x001 | 0x100) == ()


def test_every_other_documented_reason_has_a_name():
    assert throttle_names(0xFE) == (
        "clocks_setting",
        "sw_power_cap",
        "hw_slowdown",
        "sync_boost",
        "sw_thermal_slowdown",
        "hw_thermal_slowdown",
        "hw_power_brake",
    )


def test_the_bits_are_those_of_the_library():
    import pynvml

    named = {
        "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
        "hw_thermal_slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
        "hw_power_brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
        "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
        "sw_thermal_slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
    }
    assert {name: throttle_names(bit) for name, bit in named.items()} == {name: (name,) for name in named}
