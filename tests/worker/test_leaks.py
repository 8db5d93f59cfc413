from __future__ import annotations

import torch

from hyenaprof.devices.cpu import CPU
from hyenaprof.pipe import VisitRules
from hyenaprof.worker.leaks import held_bytes, leaking
from hyenaprof.worker.measure import time_callable

MIB = 2**20
RULES = VisitRules(min_samples=20, max_samples=20, window_s=10.0)


def test_what_is_allocated_and_what_is_freed_is_seen_to_the_block():
    before = held_bytes(CPU())
    block = torch.empty(64 * MIB, dtype=torch.uint8)
    during = held_bytes(CPU())
    del block
    assert 64 * MIB <= during - before < 64.1 * MIB
    assert abs(held_bytes(CPU()) - before) < MIB // 10


def test_an_operator_that_keeps_its_results_is_found_out_with_what_it_keeps():
    x, kept = torch.ones(MIB // 4), []

    def keeps(tensor):
        kept.append(tensor + 1)
        return kept[-1]

    assert time_callable(keeps, (x,), CPU(), RULES).warnings[-1] == (
        "leaks: each call keeps about 1 MiB until the process ends"
    )


def test_an_operator_that_keeps_nothing_is_not_accused():
    x = torch.ones(64, 256, requires_grad=True)
    for fn in (torch.softmax, torch.cumsum, torch.fft.rfft):
        taken = time_callable(lambda tensor, fn=fn: fn(tensor, dim=-1).real, (x,), CPU(), RULES, gradients=True)
        assert not [warning for warning in taken.warnings if warning.startswith("leaks")]


def test_little_a_cache_or_an_unknown_count_is_no_leak():
    assert leaking(0, MIB - 1, calls=200) == ()
    assert leaking(0, 100 * MIB, calls=2) == ()
    assert leaking(None, None, calls=200) == ()
    assert leaking(0, 100 * MIB, calls=100) == ("leaks: each call keeps about 1 MiB until the process ends",)
