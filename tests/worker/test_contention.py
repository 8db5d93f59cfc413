from __future__ import annotations

import os

import pytest

from hyenaprof.devices.base import Load
from hyenaprof.worker.contention import contention, foreign_cpus


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def warned(*, own_s, busy_s, stalled_s, elapsed_s=2.0, preempted=0, samples=20):
    before = Load(cpu_s=100.0, busy_s=1000.0, stalled_s=None if stalled_s is None else 50.0)
    after = Load(
        cpu_s=100.0 + own_s,
        busy_s=None if busy_s is None else 1000.0 + busy_s,
        stalled_s=None if stalled_s is None else 50.0 + stalled_s,
    )
    return contention(before, after, elapsed_s=elapsed_s, preempted=preempted, samples=samples)


def test_a_process_burning_one_of_two_cpus_is_named_with_what_it_took():
    assert warned(own_s=2.0, busy_s=4.0, stalled_s=1.5) == (
        "contended: other processes used 1.0 of 2 CPUs while samples were taken",
    )


def test_samples_that_had_to_be_kept_are_counted():
    (warning,) = warned(own_s=2.0, busy_s=4.0, stalled_s=1.5, preempted=17)
    assert warning.endswith("; 17 of 20 samples preempted and kept")


def test_a_quiet_machine_is_never_called_contended():
    assert warned(own_s=3.9, busy_s=3.95, stalled_s=0.01, preempted=3) == ()


def test_a_process_on_a_cpu_that_was_free_is_no_contention():
    assert warned(own_s=2.0, busy_s=4.0, stalled_s=0.02) == ()


def test_waiting_for_ones_own_threads_is_no_contention():
    assert warned(own_s=4.0, busy_s=4.0, stalled_s=1.9, preempted=20) == ()


def test_without_pressure_information_preemption_decides():
    assert warned(own_s=2.0, busy_s=4.0, stalled_s=None, preempted=4)
    assert warned(own_s=2.0, busy_s=4.0, stalled_s=None, preempted=0) == ()


def test_nothing_is_claimed_where_the_others_cannot_be_seen():
    assert warned(own_s=2.0, busy_s=None, stalled_s=1.5, preempted=20) == ()


def test_nothing_is_claimed_from_a_span_of_a_few_ticks():
    assert foreign_cpus(Load(0.0, 0.0), Load(0.01, 0.03), 0.05) is None


def test_foreign_cpus_are_what_is_busy_beside_us():
    assert foreign_cpus(Load(1.0, 10.0), Load(2.0, 13.0), 2.0) == 1.0
