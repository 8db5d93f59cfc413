from __future__ import annotations

import torch

from hyenaprof.devices.allocations import profiled, step_peaks

MIB = 1024**2


def test_peaks_are_highest_running_sums_within_each_step():
    changes = [(1, 10), (2, 20), (3, -25), (11, 7), (12, 4), (13, -16)]
    assert step_peaks([0, 10], changes) == (30, 16)


def test_what_stands_at_a_steps_start_counts_though_it_only_frees():
    assert step_peaks([0, 10], [(1, 10), (11, -10)]) == (10, 10)


def test_a_step_that_frees_what_was_there_before_is_not_below_zero():
    assert step_peaks([0], [(1, -10), (2, 4)]) == (0,)


def test_a_step_without_allocations_has_none():
    assert step_peaks([0, 5], []) == (0, 0)


def test_peak_of_a_known_chain_is_24_mib_to_the_byte():
    x = torch.zeros(2 * MIB)  # 8 MiB
    kept = []

    def chain():
        a = x.exp()  # 8
        b = a.exp()  # 16
        c = b.exp()  # 24: the peak
        del a, b
        kept.append(c.exp())

    assert profiled([chain]).peak_bytes == (24 * MIB,)


def test_the_second_step_counts_what_the_first_left_standing():
    x = torch.zeros(MIB // 4)  # 1 MiB
    kept = []
    read = profiled([lambda: kept.append(x.exp()), lambda: kept.append(x.exp())])
    assert read.peak_bytes == (MIB, 2 * MIB)


def test_operators_are_named_by_their_own_time():
    a = torch.randn(400, 400)
    names = profiled([lambda: a @ a]).dispatched
    assert names[0] == "aten::mm"
    assert "hyenaprof step" not in names
