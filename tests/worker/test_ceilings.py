from __future__ import annotations

import json

import pytest

from hyenaprof.devices.base import resolve
from hyenaprof.model import CeilingsLine, Cost, DType, Outcome, Phase, Point, Scope, Shape, Visit
from hyenaprof.worker.ceilings import best_of, implausible, measure_ceilings

MIB = 1024**2
CEILINGS = CeilingsLine(
    device="cpu",
    copy_bytes_per_s={MIB: 200e9, 64 * MIB: 20e9},
    gemm_flops_per_s={"float32": 100e9},
    fingerprint_id="f",
)


def seen(*latency_s, dtype=DType.FLOAT32):
    point = Point(
        operator="hyena",
        implementation="fft",
        scope=Scope.LAYER,
        phase=Phase.FORWARD,
        shape=Shape(batch=1, length=8, width=4, heads=1),
        dtype=dtype,
        device="cpu",
    )
    return Visit(
        point=point, round=0, order=0, outcome=Outcome.OK, latency_s=latency_s, started_at=0.0, fingerprint_id="f"
    )


def cost(flops=0.0, moved_bytes=0.0):
    return Cost(flops=flops, bytes=moved_bytes, need_bytes=0, source="here")


def test_ten_percent_beyond_the_product_is_believed_and_more_is_not():
    assert implausible(seen(1.0), cost(flops=109e9), CEILINGS) is None
    assert implausible(seen(1.0), cost(flops=250e9), CEILINGS) == (
        "250 GFLOP/s is 2.5x the 100 GFLOP/s measured for float32 matrix multiplication"
    )


def test_bytes_are_held_against_the_rate_of_their_own_working_set():
    small = cost(moved_bytes=MIB)
    large = cost(moved_bytes=64 * MIB)
    cached = cost(moved_bytes=8 * MIB)
    assert implausible(seen(MIB / 150e9), small, CEILINGS) is None
    assert implausible(seen(8 * MIB / 150e9), cached, CEILINGS) is None, "eight passes over 1 MiB stay in the cache"
    reason = implausible(seen(64 * MIB / 150e9), large, CEILINGS)
    assert reason == "150 GB/s is 7.5x the 20 GB/s measured for copying as much"


def test_a_working_set_past_the_largest_is_held_against_the_largest():
    huge = cost(moved_bytes=1000 * MIB)
    assert implausible(seen(1000 * MIB / 21e9), huge, CEILINGS) is None
    assert "1.5x" in implausible(seen(1000 * MIB / 30e9), huge, CEILINGS)


def test_the_median_decides_and_one_quick_sample_does_not():
    assert implausible(seen(1.0, 0.1, 1.0), cost(flops=100e9), CEILINGS) is None


def test_nothing_is_implausible_where_no_ceiling_is_known():
    assert implausible(seen(1e-9, dtype=DType.FLOAT16), cost(flops=1e15), CEILINGS) is None
    none = CeilingsLine(device="cpu", fingerprint_id="f")
    assert implausible(seen(1e-9), cost(flops=1e15, moved_bytes=1e15), none) is None


def test_a_failed_visit_is_not_judged():
    assert implausible(seen(), cost(flops=1e15), CEILINGS) is None


def test_the_better_of_two_measurements_is_the_ceiling():
    again = CeilingsLine(
        device="cpu",
        copy_bytes_per_s={MIB: 180e9, 64 * MIB: 25e9},
        gemm_flops_per_s={"float32": 90e9, "float64": 40e9},
        fingerprint_id="f",
    )
    best = best_of(CEILINGS, again)
    assert best.copy_bytes_per_s == {MIB: 200e9, 64 * MIB: 25e9}
    assert best.gemm_flops_per_s == {"float32": 100e9, "float64": 40e9}


def test_ceilings_are_the_rates_that_the_machine_has(monkeypatch):
    knobs = {"noise": 0.0, "process_noise": 0.0, "round_noise": 0.0}
    monkeypatch.setenv("HYENAPROF_FAKE", json.dumps(knobs))
    line = measure_ceilings(resolve("fake"), quick=True, fingerprint_id="f")
    # the fake moves 1e12 B/s and computes 2e12 FLOP/s after a launch of 20 us
    assert line.copy_bytes_per_s[512 * MIB] == pytest.approx(1e12, rel=0.05)
    assert line.gemm_flops_per_s["float32"] == pytest.approx(2**31 / (20e-6 + 2**31 / 2e12 + 12 * MIB / 1e12))
    assert line.launch_s == pytest.approx(20e-6 / 100)
    assert max(line.spread.values()) == 0.0
