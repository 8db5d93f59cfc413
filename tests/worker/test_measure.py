from __future__ import annotations

import gc
import itertools

import pytest
import torch
from scripted_device import Scripted, throttled
from toys import Scale, Sleeping

from hyenaprof.devices.base import Load
from hyenaprof.devices.cpu import CPU
from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Outcome, Phase, Point, Scope, Shape
from hyenaprof.pipe import VisitRules
from hyenaprof.worker.measure import time_callable, visit

RULES = VisitRules()


def point(phase=Phase.FORWARD, **changes):
    fields = {
        "operator": "toys.Scale",
        "implementation": "plain",
        "scope": Scope.LAYER,
        "phase": phase,
        "shape": Shape(batch=1, length=8, width=4, heads=1),
        "dtype": DType.FLOAT32,
        "device": "cpu",
    }
    return Point(**(fields | changes))


def visits(device, *phases, rules=RULES, operator=None):
    points = [point(phase) for phase in phases or (Phase.FORWARD,)]
    return visit(points, operator or Scale({}), device, rules, round_index=2, order=1, fingerprint_id="f")


def test_a_steady_operator_is_warmed_three_times_and_sampled_thirty():
    (seen,) = visits(Scripted(itertools.repeat(0.01)))
    assert seen.outcome is Outcome.OK
    assert seen.latency_s == (0.01,) * 30
    assert seen.warmup_s == pytest.approx(0.03)


def test_a_noisy_operator_is_sampled_for_the_window():
    (seen,) = visits(Scripted(itertools.cycle([0.01, 0.02])))
    assert sum(seen.latency_s) == pytest.approx(0.5, abs=0.02)


def test_an_operator_beyond_the_window_is_called_once_for_warmth_and_once_for_time():
    (seen,) = visits(Scripted([3.0, 2.0]))
    assert (seen.warmup_s, seen.latency_s) == (3.0, (2.0,))


def test_a_warmed_run_takes_the_long_sample_after_one_short_call():
    (seen,) = visits(Scripted([0.001, 2.0]), rules=VisitRules(warm_calls=False))
    assert (seen.warmup_s, seen.latency_s) == (0.001, (2.0,))


def test_a_call_that_was_long_only_once_is_warmed_up_after_all():
    (seen,) = visits(Scripted(itertools.chain([3.0, 0.05], itertools.repeat(0.01))))
    assert seen.latency_s == (0.01,) * 30
    assert seen.warmup_s == pytest.approx(3.0 + 0.05 + 3 * 0.01)


def test_a_call_thought_long_that_is_short_is_warmed_up_after_all():
    (seen,) = visits(Scripted(itertools.repeat(0.01)), rules=VisitRules(warm_calls=False))
    assert seen.latency_s == (0.01,) * 30
    assert seen.warmup_s == pytest.approx(0.01 + 3 * 0.01)


def test_a_gpu_is_warmed_up_at_its_shape_in_any_case():
    (seen,) = visits(Scripted([3.0, 2.0], asynchronous=True, host_s=0.1), rules=VisitRules(warm_calls=False))
    assert (seen.warmup_s, seen.latency_s) == (3.0, (2.0,))


def test_backward_and_training_are_read_off_the_same_iterations():
    backward, training = visits(Scripted(itertools.cycle([0.01, 0.03])), Phase.BACKWARD, Phase.TRAINING)
    assert backward.latency_s[:3] == (0.03, 0.03, 0.03)
    assert training.latency_s[:3] == pytest.approx((0.04, 0.04, 0.04))
    assert backward.offset_s == training.offset_s


def test_training_alone_is_both_steps():
    (training,) = visits(Scripted(itertools.cycle([0.01, 0.03])), Phase.TRAINING)
    assert training.latency_s[0] == pytest.approx(0.04)


def test_offsets_are_the_starts_of_samples():
    (seen,) = visits(Scripted(itertools.repeat(0.01)))
    assert seen.offset_s[:3] == pytest.approx((0.0, 0.01, 0.02))


def test_the_cold_cache_is_flushed_before_the_timed_steps_and_never_inside():
    device = Scripted(itertools.repeat(0.01))
    visits(device, Phase.TRAINING)
    one_sample = ["wait", "flush", "start", "stop", "start", "stop", "read"]
    assert device.log[: 2 * len(one_sample)] == one_sample * 2


def test_the_hot_cache_is_left_alone():
    device = Scripted(itertools.repeat(0.01))
    visits(device, rules=VisitRules(cache="hot"))
    assert "flush" not in device.log


def test_preempted_samples_are_kept_in_order_and_marked_dropped():
    # two readings a sample; the counter rises during the fourth call, the first sample after three warm-up calls
    device = Scripted(itertools.repeat(0.01), preemptions=(0, 0, 0, 0, 0, 0, 0, 1, 1))
    (seen,) = visits(device)
    assert seen.dropped == (0,)
    assert len(seen.latency_s) == 30
    assert len(seen.clean_s) == 29


def test_with_fewer_than_five_clean_samples_all_are_kept():
    (seen,) = visits(Scripted(itertools.repeat(0.01), preemptions=range(1000)))
    assert seen.dropped == ()
    assert len(seen.clean_s) == 30


def test_a_throttled_visit_is_done_again_once():
    states = (throttled(), throttled("hw_thermal_slowdown"), throttled())
    first = [1e-3] * 4
    device = Scripted(itertools.chain([0.6, *first[:1]], itertools.repeat(0.7)), states=states)
    (seen,) = visits(device)
    assert seen.warnings == ()
    assert seen.latency_s[0] == 0.7


def test_a_visit_throttled_twice_says_so():
    (seen,) = visits(Scripted(itertools.repeat(0.7), states=(throttled("hw_power_brake"),)))
    assert seen.warnings == ("throttled: hw_power_brake",)


def test_a_power_cap_is_recorded_and_no_reason_to_measure_again():
    (seen,) = visits(Scripted([0.7, 0.7], states=(throttled("sw_power_cap"),)))
    assert seen.state.throttle_reasons == ("sw_power_cap",)
    assert seen.warnings == ()


def test_a_point_that_the_host_holds_up_is_launch_bound():
    (seen,) = visits(Scripted(itertools.repeat(5e-6), asynchronous=True, host_s=40e-6))
    assert seen.warnings == ("launch_bound: the host takes longer to launch this than the device to run it",)
    assert seen.host_s[0] == 40e-6


def test_a_point_that_the_device_holds_up_is_not():
    (seen,) = visits(Scripted(itertools.repeat(1e-3), asynchronous=True, host_s=40e-6))
    assert seen.warnings == ()


def test_the_queue_is_filled_for_twice_the_hosts_time_but_not_in_the_warm_up():
    device = Scripted(itertools.repeat(5e-3), asynchronous=True, host_s=1e-3)
    visits(device)
    assert device.spun_s[0] == 0.0
    assert device.spun_s[-1] == 2e-3


def test_energy_is_the_counters_rise_over_the_calls_of_a_window_of_a_second(monkeypatch):
    seconds = Scripted([1.5, 1.5], joules=(100.0, 400.0))
    monkeypatch.setattr("hyenaprof.worker.measure.time.perf_counter", lambda: seconds.seconds)
    (seen,) = visits(seconds)
    assert seen.energy_j == 300.0


def test_energy_of_a_short_window_is_not_measurable(monkeypatch):
    seconds = Scripted([0.6, 0.6], joules=(100.0, 400.0))
    monkeypatch.setattr("hyenaprof.worker.measure.time.perf_counter", lambda: seconds.seconds)
    (seen,) = visits(seconds)
    assert seen.energy_j is None


def test_energy_belongs_to_the_whole_iteration_and_not_to_its_backward_pass(monkeypatch):
    seconds = Scripted(itertools.repeat(1.0), joules=(0.0, 50.0))
    monkeypatch.setattr("hyenaprof.worker.measure.time.perf_counter", lambda: seconds.seconds)
    backward, training = visits(seconds, Phase.BACKWARD, Phase.TRAINING)
    assert (backward.energy_j, training.energy_j) == (None, 50.0)


def test_cpu_seconds_are_those_between_the_first_and_the_last_sample():
    (seen,) = visits(Scripted([0.7, 0.7], loads=(Load(cpu_s=3.0), Load(cpu_s=4.5))))
    assert seen.cpu_s == 1.5


def test_decode_is_unsupported_where_the_operator_has_none():
    with pytest.raises(Unsupported, match="has no decode phase"):
        visits(Scripted([]), Phase.DECODE)


@pytest.mark.parametrize(("fill", "all_ones"), [("random", False), ("ones", True)])
def test_a_layer_is_timed_on_ones_where_that_is_asked_for_and_its_weights_are_left_alone(fill, all_ones):
    operator, seen = Scale({}), []
    operator.call = lambda x, weight: seen.append((x, weight)) or x * weight
    visits(Scripted(itertools.repeat(0.01)), Phase.TRAINING, rules=VisitRules(inputs=fill), operator=operator)
    x, weight = seen[0]
    assert bool((x == 1).all()) is all_ones
    assert x.requires_grad
    assert not bool((weight == 1).any())


def test_gradients_never_accumulate_and_nothing_is_left_after_a_visit():
    operator = Scale({})
    seen = []
    operator.call = lambda x, weight: seen.append(x) or x * weight
    visits(Scripted(itertools.repeat(0.01)), Phase.TRAINING, operator=operator)
    assert seen[0].grad is None


def test_the_garbage_collector_rests_during_samples_and_works_again_after():
    asleep = []
    x = torch.ones(2)
    time_callable(lambda t: asleep.append(not gc.isenabled()) or t, (x,), Scripted(itertools.repeat(0.01)), RULES)
    assert all(asleep)
    assert gc.isenabled()


def test_a_known_duration_is_measured_as_it_is():
    operator = Sleeping({"seconds": 0.005})
    (seen,) = visits(CPU(), rules=VisitRules(max_samples=20), operator=operator)
    assert min(seen.latency_s) >= 0.005
    assert min(seen.latency_s) < 0.0055


def test_a_call_that_waits_takes_no_cpu_time_and_ends_by_the_wall_all_the_same():
    device = CPU()
    device.settle(1)
    (seen,) = visits(device, rules=VisitRules(window_s=0.02), operator=Sleeping({"seconds": 0.005}))
    assert max(seen.latency_s) < 0.005
    assert len(seen.latency_s) < 20


def test_a_callable_is_timed_forward_without_gradients_and_with_them_in_both_phases():
    x = torch.ones(3, requires_grad=True)
    wanted = []

    def square(t):
        y = t * t
        wanted.append(y.requires_grad)
        return y

    rules = VisitRules(max_samples=5, window_s=0.01)
    assert len(time_callable(square, (x,), CPU(), rules).clean(Phase.FORWARD)) == 5
    assert not any(wanted)
    wanted.clear()
    both = time_callable(square, (x,), CPU(), rules, gradients=True)
    assert all(wanted)
    assert all(b < t for b, t in zip(both.read(Phase.BACKWARD), both.read(Phase.TRAINING), strict=True))
