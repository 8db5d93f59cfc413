"""What only a real GPU can show of the engine. Skipped, with the reason, where there is none."""

from __future__ import annotations

import time
from statistics import median

import pytest
import torch

from hyenaprof.devices.base import resolve
from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Outcome, Phase, Point, Scope, Shape
from hyenaprof.operators.base import load
from hyenaprof.pipe import VisitRules
from hyenaprof.worker.ceilings import measure_ceilings
from hyenaprof.worker.fingerprint import Protocol, take_fingerprint
from hyenaprof.worker.measure import time_callable, visit
from hyenaprof.worker.memory import peak_memory
from hyenaprof.worker.outcomes import Refusal, attempt

pytestmark = pytest.mark.gpu
RULES = VisitRules()
MIB = 1024**2


@pytest.fixture
def device():
    held = resolve("cuda")
    yield held
    held.release()


def typical_s(fn, inputs, device, rules=RULES):
    return median(time_callable(fn, inputs, device, rules).clean(Phase.FORWARD))


def point(operator="flash", implementation="sdpa", phase=Phase.FORWARD, length=4096, **changes):
    fields = {
        "operator": operator,
        "implementation": implementation,
        "scope": Scope.LAYER,
        "phase": phase,
        "shape": Shape(batch=1, length=length, width=768, heads=12),
        "dtype": DType.BFLOAT16,
        "device": "cuda",
    }
    return Point(**(fields | changes))


def visited(device, asked, rules=RULES):
    return visit([asked], load(asked.operator, {}), device, rules, round_index=0, order=0, fingerprint_id="f")[0]


def test_the_flush_is_not_in_the_window(device):
    one = torch.zeros(1, device="cuda")
    flush = torch.empty(4 * device._properties.L2_cache_size, dtype=torch.uint8, device="cuda")
    flushing_s = typical_s(lambda t: t.zero_(), (flush,), device) / 2
    nothing_s = typical_s(lambda t: t.add_(1), (one,), device)
    assert nothing_s < 15e-6
    assert nothing_s < flushing_s / 2


def test_a_cold_cache_is_slower_than_a_hot_one(device):
    x = torch.ones(device._properties.L2_cache_size // 16, device="cuda")
    cold_s = typical_s(lambda t: t.sum(), (x,), device)
    hot_s = typical_s(lambda t: t.sum(), (x,), device, VisitRules(cache="hot"))
    assert cold_s > 1.05 * hot_s


def test_a_kernel_of_five_microseconds_is_launch_bound(device):
    one = torch.zeros(1, device="cuda")
    assert any("launch_bound" in w for w in time_callable(lambda t: t.add_(1), (one,), device, RULES).warnings)


def test_a_kernel_of_a_millisecond_is_not(device):
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    assert not any("launch_bound" in w for w in time_callable(torch.mm, (a, a), device, RULES).warnings)


def test_launch_gaps_stay_out_of_a_chain_of_small_kernels(device):
    one = torch.zeros(1, device="cuda")

    def chain(t):
        for _ in range(50):
            t = t.add_(1)
        return t

    samples = time_callable(chain, (one,), device, RULES)
    assert samples.typical_s < 50 * 4e-6
    assert samples.typical_s < median(sample.host_s for sample in samples.taken)


def test_events_agree_with_the_wall_clock_on_a_long_call(device):
    a = torch.randn(8192, 8192, device="cuda")

    def products(t):
        for _ in range(20):
            t = t @ a / 90
        return t

    events_s = typical_s(products, (a,), device, VisitRules(window_s=2.0))
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(3):
        products(a)
    torch.cuda.synchronize()
    assert events_s == pytest.approx((time.perf_counter() - began) / 3, rel=0.05)


def test_energy_agrees_with_power_times_time(device):
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def products(t):
        for _ in range(50):
            t = t @ a / 90
        return t

    samples = time_callable(products, (a,), device, VisitRules(window_s=4.0, precision=1e-9, max_samples=10_000))
    if samples.energy_j is None:
        pytest.skip("this GPU has no energy counter")
    assert samples.energy_j == pytest.approx(samples.state.power_w * samples.typical_s, rel=0.2)


def test_energy_of_short_calls_is_read_over_calls_in_a_row(device):
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    rules = VisitRules(window_s=0.2, energy_window_s=2.0, cache="hot")
    samples = time_callable(lambda t: t @ a, (a,), device, rules)
    if samples.energy_j is None:
        pytest.skip("this GPU has no energy counter")
    cap_w = device.describe()["power_cap_w"]
    assert 0.1 * cap_w < samples.energy_j / samples.typical_s < 1.2 * cap_w


def test_energy_of_a_short_window_is_not_measurable(device):
    one = torch.zeros(1, device="cuda")
    assert time_callable(lambda t: t.add_(1), (one,), device, RULES).energy_j is None


def test_peak_memory_of_a_known_chain_is_24_mib(device):
    x = torch.zeros(2 * MIB, device="cuda")
    kept = []

    def chain():
        a = x.exp()
        b = a.exp()
        c = b.exp()
        del a, b
        kept.append(c.exp())

    assert device.meter([chain]).peak_bytes == (24 * MIB,)


def test_standard_attention_keeps_its_score_matrix_and_flash_does_not(device):
    score_bytes = 12 * 4096**2 * 2
    (math,) = peak_memory([point("attention", "math")], load("attention", {}), device, fingerprint_id="f").lines
    (flash,) = peak_memory([point()], load("flash", {}), device, fingerprint_id="f").lines
    assert math.peak_bytes >= score_bytes
    assert flash.peak_bytes < score_bytes / 4


def test_an_allocation_past_the_device_is_oom_and_the_next_point_is_unharmed(device):
    ended = attempt(lambda: torch.empty(2**46, dtype=torch.uint8, device="cuda"))
    assert isinstance(ended, Refusal)
    assert ended.outcome is Outcome.OOM
    assert device.usable()
    assert visited(device, point(length=1024)).outcome is Outcome.OK


@pytest.mark.parametrize(("operator", "implementation"), [("hyena", "fft"), ("flash", "sdpa")])
def test_both_sides_run_through_a_visit_in_bfloat16(device, operator, implementation):
    seen = visited(device, point(operator, implementation, Phase.TRAINING))
    assert seen.outcome is Outcome.OK
    assert len(seen.host_s) == len(seen.latency_s)
    assert seen.state is None or seen.state.clock_mhz is None or seen.state.clock_mhz > 0


def test_a_captured_graph_takes_less_of_the_host_and_no_more_of_the_device(device):
    plain = visited(device, point(phase=Phase.TRAINING, length=1024))
    graph = visited(device, point(phase=Phase.TRAINING, length=1024), VisitRules(cuda_graph=True))
    assert median(graph.host_s) < median(plain.host_s)
    assert median(graph.latency_s) < 1.1 * median(plain.latency_s)


def test_what_cannot_be_captured_is_unsupported(device):
    one = torch.ones(1, device="cuda")
    with pytest.raises(Unsupported, match="cannot be captured"):
        device.capture((one.item,))


def test_ceilings_are_within_what_any_gpu_has(device):
    line = measure_ceilings(device, quick=True, fingerprint_id="f")
    assert 1e11 < max(line.copy_bytes_per_s.values()) < 1e14
    assert line.gemm_flops_per_s["bfloat16"] > line.gemm_flops_per_s["float32"]
    assert 1e-6 < line.launch_s < 1e-4


def test_the_fingerprint_names_the_gpu_and_no_identifier(device):
    taken = take_fingerprint(device, Protocol(threads=1))
    assert taken.machine["gpu"] == torch.cuda.get_device_name()
    assert str(device._properties.uuid) not in taken.model_dump_json()
    assert taken.software["driver"]
