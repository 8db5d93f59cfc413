"""The parts of the CUDA device that need no GPU: `torch.cuda` is replaced, its tensors live on the CPU."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from hyenaprof.devices import cuda as module
from hyenaprof.devices.cuda import CUDA, EventTimer
from hyenaprof.errors import DeviceError

GIB = 1024**3
PROPERTIES = types.SimpleNamespace(
    name="Example GPU",
    major=9,
    minor=0,
    multi_processor_count=132,
    total_memory=79 * GIB + 123,
    L2_cache_size=50 * 1024**2,
    uuid="0a1b2c3d-secret",
)


@pytest.fixture
def gpu(monkeypatch):
    """Records what the device asks of torch.cuda."""
    asked = types.SimpleNamespace(cycles=[], device=None)
    replacements = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "set_device": lambda index: setattr(asked, "device", index),
        "get_device_properties": lambda _: PROPERTIES,
        "mem_get_info": lambda _: (40 * GIB, 79 * GIB),
        "memory_reserved": lambda _: 6 * GIB,
        "memory_allocated": lambda _: 1 * GIB,
        "_sleep": asked.cycles.append,
        "empty_cache": lambda: None,
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(torch.cuda, name, replacement)
    monkeypatch.setattr(CUDA, "torch_device", torch.device("cpu"))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    return asked


def test_an_index_picks_the_device(gpu):
    CUDA(1)
    assert gpu.device == 1


@pytest.mark.usefixtures("gpu")
def test_an_index_past_the_last_says_how_many_there_are():
    with pytest.raises(DeviceError) as caught:
        CUDA(2)
    assert (caught.value.message, caught.value.hint) == ("no device cuda:2", "there are 2, counted from 0")


@pytest.mark.usefixtures("gpu")
def test_a_point_may_take_free_and_kept_memory_less_two_gib():
    assert CUDA().available_bytes() == (40 + 5 - 2) * GIB


@pytest.mark.usefixtures("gpu")
def test_the_flush_writes_twice_the_l2_and_is_given_back():
    device = CUDA()
    device.flush_cache()
    assert device._flush.nbytes == 100 * 1024**2
    assert not device._flush.any()
    device.release()
    assert device._flush is None


def test_the_queue_is_held_at_least_as_long_as_asked_at_any_clock(gpu):
    CUDA().fill_queue(1e-3)
    assert gpu.cycles[0] / 2.1e9 >= 1e-3


def test_nothing_is_spun_where_nothing_is_asked(gpu):
    CUDA().fill_queue(0.0)
    assert gpu.cycles == []


@pytest.mark.usefixtures("gpu")
def test_facts_name_the_gpu_and_hold_no_identifier():
    facts = CUDA().describe()
    assert facts["gpu"] == "Example GPU"
    assert (facts["compute_capability"], facts["multiprocessors"], facts["gpu_memory_gib"]) == ("9.0", 132, 79)
    assert "secret" not in str(facts)


class Event:
    """Recorded at the next second of a scripted clock."""

    clock = 0.0

    def __init__(self, *, enable_timing):
        assert enable_timing

    def record(self):
        Event.clock += 1.0
        self.at_s = Event.clock

    def elapsed_time(self, later):
        return (later.at_s - self.at_s) * 1e3

    def synchronize(self):
        self.waited = True


def test_steps_are_timed_between_their_own_events_and_the_last_is_waited_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    host = iter([10.0, 11.0, 12.5])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(host))
    timer = EventTimer()
    for _ in range(2):
        timer.start()
        timer.stop()
    spans = timer.spans()
    assert spans.device_s == (1.0, 1.0)
    assert spans.host_s == 2.5
    assert timer._events[-1].waited
