from __future__ import annotations

import json
import math
from statistics import median, stdev

import pytest
import torch

from hyenaprof.devices.base import resolve
from hyenaprof.devices.fake import VARIABLE
from hyenaprof.errors import DeviceError
from hyenaprof.model import Cost, DType, Phase, Point, Scope, Shape

COST = Cost(flops=2e12, bytes=1e12, need_bytes=10 * 1024**2, parameters=100, source="here")


def fake(monkeypatch, **knobs):
    monkeypatch.setenv(VARIABLE, json.dumps(knobs))
    return resolve("fake")


def point(length=1000, operator="flash", implementation="sdpa"):
    return Point(
        operator=operator,
        implementation=implementation,
        scope=Scope.LAYER,
        phase=Phase.FORWARD,
        shape=Shape(batch=2, length=length, width=64, heads=4),
        dtype=DType.FLOAT32,
        device="fake",
    )


def times(device, at=None, *, round_index=0, count=1, cost=COST):
    ran = []
    step = device.enact(lambda: ran.append(1), at or point(), cost, round_index=round_index)
    seconds = []
    for _ in range(count):
        timer = device.timer()
        timer.start()
        step()
        timer.stop()
        seconds.append(timer.spans().device_s[0])
    assert ran == [1]
    return seconds


SILENT = {"noise": 0.0, "process_noise": 0.0, "round_noise": 0.0}


def test_a_call_takes_its_flops_its_bytes_and_a_launch(monkeypatch):
    rates = {"flash": {"flops_per_s": 4e12, "bytes_per_s": 2e12, "launch_s": 0.25}}
    assert times(fake(monkeypatch, rates=rates, **SILENT)) == pytest.approx([0.5 + 0.5 + 0.25])


def test_an_implementations_own_rate_goes_before_its_operators(monkeypatch):
    slow, quick = {"flops_per_s": 1e9}, {"flops_per_s": 2e12, "launch_s": 0.0}
    device = fake(monkeypatch, rates={"flash": slow, "flash:sdpa": quick}, **SILENT)
    assert times(device) == pytest.approx([2.0])


def test_the_same_seed_gives_the_same_times_and_another_gives_others(monkeypatch):
    first, again, other = (times(fake(monkeypatch, seed=seed), count=5) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_noise_has_the_ordered_spread(monkeypatch):
    device = fake(monkeypatch, noise=0.05, process_noise=0.0, round_noise=0.0)
    logs = [math.log(value) for value in times(device, count=2000)]
    assert stdev(logs) == pytest.approx(0.05, rel=0.1)
    assert math.exp(median(logs)) == pytest.approx(2.0, rel=0.01)


def test_a_rounds_drift_is_shared_by_both_sides_and_a_processs_is_not(monkeypatch):
    flash, hyena = point(), point(operator="attention", implementation="math")
    drifting = fake(monkeypatch, noise=0.0, process_noise=0.0, round_noise=0.2)
    assert times(drifting, flash) == pytest.approx(times(drifting, hyena))
    assert times(drifting, flash) != pytest.approx(times(drifting, flash, round_index=1))
    apart = fake(monkeypatch, noise=0.0, process_noise=0.2, round_noise=0.0)
    assert times(apart, flash) != pytest.approx(times(apart, hyena))


def test_only_a_short_sequence_is_made_and_stays_odd(monkeypatch):
    device = fake(monkeypatch)
    shape = Shape(batch=64, length=2**20, width=768, heads=12)
    assert device.materialise(shape) == Shape(batch=1, length=32, width=128, heads=2)
    assert device.materialise(shape.at(65537)).length == 33
    assert device.materialise(Shape(batch=1, length=7, width=8, heads=1)) == Shape(batch=1, length=7, width=8, heads=1)


def test_peak_memory_is_the_analytic_need_less_input_and_weights(monkeypatch):
    device = fake(monkeypatch)
    step = device.enact(lambda: None, point(), COST, round_index=0)
    assert device.meter([step]).peak_bytes == (10 * 1024**2 - (2 * 1000 * 64 + 100) * 4,)


def test_a_need_beyond_the_memory_is_out_of_memory(monkeypatch):
    device = fake(monkeypatch, memory_bytes=10 * 1024**2 - 1)
    with pytest.raises(torch.OutOfMemoryError):
        times(device)


def test_an_ordered_fault_strikes_from_its_length_on(monkeypatch):
    device = fake(monkeypatch, faults={"flash": {"kind": "crash", "from_length": 1001}})
    assert len(times(device, point(1000))) == 1
    with pytest.raises(RuntimeError, match="fault ordered"):
        times(device, point(1001))


def test_an_unknown_knob_is_an_error(monkeypatch):
    with pytest.raises(DeviceError, match="HYENAPROF_FAKE"):
        fake(monkeypatch, noize=0.1)


def test_another_name_is_another_machine(monkeypatch):
    assert fake(monkeypatch, name="one").describe() != fake(monkeypatch, name="two").describe()
