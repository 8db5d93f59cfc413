"""The CPU's clock and its memory, without measuring anything."""

from __future__ import annotations

import pytest

from hyenaprof.devices import cpu
from hyenaprof.devices.base import MARGIN_BYTES
from hyenaprof.devices.cpu import CPU

GIB = 1024**3


@pytest.fixture
def populated(monkeypatch):
    """Sizes that were made present, on a machine with 10 GiB available."""
    sizes = []
    monkeypatch.setattr(cpu, "allocator_in_use", lambda: "warm")
    monkeypatch.setattr(cpu, "available_memory_bytes", lambda: 10 * GIB)
    monkeypatch.setattr(cpu, "populate_heap", sizes.append)
    return sizes


@pytest.mark.parametrize(("need_bytes", "made_bytes"), [(GIB, 2 * GIB), (6 * GIB, 10 * GIB - MARGIN_BYTES)])
def test_memory_made_present_is_twice_the_need_and_never_more_than_leaves_the_margin(populated, need_bytes, made_bytes):
    CPU().warm_memory(need_bytes)
    assert populated == [made_bytes]


def test_nothing_is_made_present_for_a_call_that_is_tried_by_force_and_does_not_fit(populated):
    CPU().warm_memory(9 * GIB)
    assert populated == []


def test_the_default_allocator_gives_pages_back_and_is_not_warmed(populated, monkeypatch):
    monkeypatch.setattr(cpu, "allocator_in_use", lambda: "default")
    CPU().warm_memory(GIB)
    assert populated == []


@pytest.mark.parametrize(("threads", "clock", "seconds"), [(1, "process_time", 5e-9), (2, "perf_counter", 9e-9)])
def test_with_one_thread_the_clock_is_cpu_time_and_with_several_the_walls(monkeypatch, threads, clock, seconds):
    monkeypatch.setitem(cpu.CLOCKS, "process_time", iter(range(0, 100, 5)).__next__)
    monkeypatch.setitem(cpu.CLOCKS, "perf_counter", iter(range(0, 100, 9)).__next__)
    device = CPU()
    device.settle(threads)
    timer = device.timer()
    for _ in range(2):
        timer.start()
        timer.stop()
    assert device.clock == clock
    assert timer.spans().device_s == pytest.approx((seconds, seconds))


def test_each_clock_is_the_one_that_its_name_says():
    assert {name: read.__name__ for name, read in cpu.CLOCKS.items()} == {
        "perf_counter": "perf_counter_ns",
        "process_time": "process_time_ns",
    }
