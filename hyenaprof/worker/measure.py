"""Takes time: the only file that does. One visit is a warm-up until stable, then samples until enough."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from torch import Tensor

from hyenaprof.devices.base import Device, Load, Step
from hyenaprof.model import DeviceState, Outcome, Phase, Point, Visit
from hyenaprof.operators.base import Operator
from hyenaprof.pipe import VisitRules
from hyenaprof.worker.contention import contention
from hyenaprof.worker.energy import of_calls_in_a_row, of_samples
from hyenaprof.worker.iteration import Iteration, assemble, check_phase, enacted, inputs_of, launcher_of, prepare
from hyenaprof.worker.leaks import held_bytes, leaking
from hyenaprof.worker.samples import Sample, Samples
from hyenaprof.worker.stopping import enough, is_long, settled

Report = Callable[[str, int, float | None], None]
"""Called between samples with what is being done, the samples so far and the last one's seconds."""


def silent(text: str, samples: int, last_s: float | None) -> None:
    """A Report that tells nobody."""


def visit(
    points: Sequence[Point],
    operator: Operator,
    device: Device,
    rules: VisitRules,
    *,
    round_index: int,
    order: int,
    fingerprint_id: str,
    report: Report = silent,
) -> tuple[Visit, ...]:
    """Times points that share one iteration (one forward, or backward and training) and gives one visit a point.

    Raises:
        Unsupported: The implementation cannot run here.
    """
    check_phase(operator, points[0])
    inputs = inputs_of(operator, points[0], device, fill=rules.inputs)
    began_s = device.now_s()
    launcher = launcher_of(operator, points[0], device)
    built_s = device.now_s() - began_s
    iteration = assemble(points[0], inputs, launcher)
    steps = enacted(iteration, points[0], operator, device, round_index=round_index)
    phases = tuple(point.phase for point in points)
    cautions = device.cautions(points[0])
    warmed_s = _make_ready(points[0], operator, device, rules)
    samples = _unthrottled(lambda: take(iteration, steps, phases, device, rules, report=report))
    samples.setup_s += built_s
    samples.warmup_s += warmed_s
    return tuple(
        Visit(
            point=point,
            round=round_index,
            order=order,
            outcome=Outcome.OK,
            latency_s=samples.read(point.phase),
            dropped=samples.dropped,
            offset_s=tuple(sample.offset_s for sample in samples.taken),
            host_s=tuple(sample.host_s for sample in samples.taken if sample.host_s is not None),
            warmup_s=samples.warmup_s,
            setup_s=samples.setup_s,
            cpu_s=samples.cpu_s,
            energy_j=None if point.phase is Phase.BACKWARD else samples.energy_j,
            state=samples.state,
            started_at=samples.started_at,
            fingerprint_id=fingerprint_id,
            warnings=cautions + samples.warnings,
        )
        for point in points
    )


def _make_ready(point: Point, operator: Operator, device: Device, rules: VisitRules) -> float:
    """Makes memory present, and libraries too where no warm-up call will; gives the seconds that took."""
    began_s = device.now_s()
    if _skips_warm_up(device, rules):
        short = prepare(operator, point.at(min(point.shape.length, _SHORT_LENGTH)), device)
        _Bench(short, short.steps, device, rules).sample(0.0, ahead_s=0.0)
    cost = operator.cost(point.implementation, point.shape, point.scope, phase=point.phase, dtype=point.dtype)
    device.warm_memory(cost.need_bytes)
    return device.now_s() - began_s


_SHORT_LENGTH = 256


def _skips_warm_up(device: Device, rules: VisitRules) -> bool:
    """A GPU never does: plans, autotuning and compilation belong to a shape, and end before the first sample."""
    return not rules.warm_calls and not device.asynchronous


def _unthrottled(sampling: Callable[[], Samples]) -> Samples:
    """Samples once, and once more where the hardware slowed itself down; flagged where it did so again."""
    samples = sampling()
    if not samples.hardware_throttling:
        return samples
    samples = sampling()
    if samples.hardware_throttling:
        samples.warnings += (f"throttled: {', '.join(samples.hardware_throttling)}",)
    return samples


def time_callable(
    fn: Callable[..., Tensor], inputs: tuple[Tensor, ...], device: Device, rules: VisitRules, *, gradients: bool = False
) -> Samples:
    """Times `fn(*inputs)` in this process: the engine without an operator, a journal or a second process.

    Args:
        fn: Returns one tensor; nothing it leaves behind is dropped.
        inputs: Made by the caller, on the device.
        device: Where `fn` runs.
        rules: When to stop.
        gradients: Also run the backward pass, so that backward and training can be read.
    """
    iteration = Iteration(fn, inputs, with_gradients=gradients)
    phases = (Phase.BACKWARD, Phase.TRAINING) if gradients else (Phase.FORWARD,)
    return take(iteration, iteration.steps, phases, device, rules)


def take(
    iteration: Iteration,
    steps: tuple[Step, ...],
    phases: Sequence[Phase],
    device: Device,
    rules: VisitRules,
    *,
    report: Report = silent,
) -> Samples:
    """Warms up, then samples until every phase is known well enough or the window is spent.

    Args:
        iteration: What is timed.
        steps: Its steps, as the device runs them.
        phases: What is read off each iteration.
        device: Whose clock is read.
        rules: When to stop.
        report: Told of progress, between samples.
    """
    with _no_collection():
        bench = _Bench(iteration, steps, device, rules)
        report("warming up", 0, None)
        began_s = device.now_s()
        bench.warm_up()
        captured_s = bench.capture() if rules.cuda_graph else 0.0
        warm_s = device.now_s()
        while (samples := _sampled(bench, phases, report)) is None:
            bench.warm_up()
            warm_s = device.now_s()
    samples.warmup_s, samples.setup_s = warm_s - began_s - captured_s, captured_s
    return samples


def _sampled(bench: _Bench, phases: Sequence[Phase], report: Report) -> Samples | None:
    """Samples until enough, with what surrounded them; None where the first one showed that the call is not warm."""
    device = bench.device
    state, held = device.state(), held_bytes(device)
    before, started = device.load(), time.perf_counter()
    joules, began_s = device.energy_j(), device.now_s()
    samples = Samples(started_at=time.time())
    if not _collect(samples, bench, phases, report):
        return None
    samples.state = _through(state, device.state())
    device.synchronize()
    elapsed_s = time.perf_counter() - started
    taken_s = [sample.total_s for sample in samples.taken]
    samples.energy_j = of_samples(joules, device.energy_j(), taken_s=taken_s, elapsed_s=device.now_s() - began_s)
    _account(samples, before, device, elapsed_s)
    samples.warnings += _launch_bound(samples, bench.launched_s)
    samples.warnings += leaking(held, held_bytes(device), calls=len(samples.taken))
    if samples.energy_j is None and bench.rules.energy_window_s:
        samples.energy_j = of_calls_in_a_row(
            bench.iteration,
            bench.steps,
            device,
            typical_s=max(samples.typical_s, bench.launched_s or 0.0),
            window_s=bench.rules.energy_window_s,
        )
    return samples


def _collect(samples: Samples, bench: _Bench, phases: Sequence[Phase], report: Report) -> bool:
    """Takes samples until enough; False where the first one has to go to the warm-up instead."""
    started_s, spent_s = bench.device.now_s(), 0.0
    while True:
        sample = bench.sample(started_s, ahead_s=bench.ahead_s)
        if not samples.taken and bench.misled_by(sample):
            return False
        samples.taken.append(sample)
        spent_s += sample.spent_s
        report("sampling", len(samples.taken), sample.total_s)
        if enough(len(samples.taken), spent_s, bench.rules, lambda: [samples.clean(phase) for phase in phases]):
            return True


@dataclass(slots=True)
class _Bench:
    """One iteration clamped to a device: warms it up and takes its samples."""

    iteration: Iteration
    steps: tuple[Step, ...]
    device: Device
    rules: VisitRules
    calls: list[Sample] = field(default_factory=list)
    """The warm-up's calls, before a queue that is empty but for the cache flush: host and device keep each other waiting."""
    launched_s: float | None = None
    """Seconds in which the host launches one; not taken from samples, where a full queue may hold the host up."""

    def warm_up(self) -> None:
        """Calls until stable; not at all where this run has warmed the point up before."""
        if not self.calls and _skips_warm_up(self.device, self.rules):
            return
        spent_s = [call.spent_s for call in self.calls]
        while not (spent_s and settled(spent_s, self.rules)):
            self.calls.append(self.sample(0.0, ahead_s=0.0))
            spent_s.append(self.calls[-1].spent_s)
        later = self.calls[len(self.calls) // 2 :]
        launched_s = [call.host_s for call in later if call.host_s is not None]
        self.launched_s = median(launched_s) if launched_s else None

    def misled_by(self, first: Sample) -> bool:
        """Whether warm-up ended at one long call (a compilation, say) though the call itself, as now seen, is short.

        The first sample then becomes the first call of the warm-up proper.
        """
        if is_long(first.spent_s, self.rules) or any(not is_long(c.spent_s, self.rules) for c in self.calls):
            return False
        self.calls = [first]
        return True

    def capture(self) -> float:
        """Turns the steps into graph replays and gives the seconds that took."""
        began_s = self.device.now_s()
        self.steps = self.device.capture(self.steps)
        return self.device.now_s() - began_s

    def sample(self, started_s: float, *, ahead_s: float) -> Sample:
        """One iteration on a fresh timer; its result is dropped afterwards, outside the timed steps."""
        device = self.device
        device.synchronize()
        if self.rules.cache == "cold":
            device.flush_cache()
        device.fill_queue(ahead_s)
        preempted = device.preemptions()
        timer = device.timer()
        began_s = device.now_s()
        for index, step in enumerate(self.steps):
            if index:
                self.iteration.make_cotangent()
            timer.start()
            step()
            timer.stop()
        wall_s = 0.0 if device.asynchronous else device.now_s() - began_s
        spans = timer.spans()
        preempted = (device.preemptions() or 0) - (preempted or 0)
        self.iteration.clear()
        return Sample(
            spans.device_s, spans.host_s, offset_s=began_s - started_s, preempted=preempted > 0, wall_s=wall_s
        )

    @property
    def ahead_s(self) -> float:
        """Seconds for which the device must be kept busy while the host launches one sample."""
        if self.launched_s is None:
            return 0.0
        return min(max(2 * self.launched_s, _SHORTEST_SPIN_S), _LONGEST_SPIN_S)


_SHORTEST_SPIN_S = 1e-4
_LONGEST_SPIN_S = 0.02
"""A queue holds about a thousand launches, which the host makes in less than this: spinning longer gains nothing."""


def _account(samples: Samples, before: Load, device: Device, elapsed_s: float) -> None:
    """Sets CPU seconds and warnings from the counters before and after."""
    after = device.load()
    samples.cpu_s = after.cpu_s - before.cpu_s
    preempted = sum(sample.preempted for sample in samples.taken)
    samples.warnings = contention(before, after, elapsed_s=elapsed_s, preempted=preempted, samples=len(samples.taken))


def _through(before: DeviceState | None, after: DeviceState | None) -> DeviceState | None:
    """The later state, with the throttle reasons of both."""
    if before is None or after is None:
        return after
    reasons = tuple(dict.fromkeys((*before.throttle_reasons, *after.throttle_reasons)))
    return after.model_copy(update={"throttle_reasons": reasons})


def _launch_bound(samples: Samples, launched_s: float | None) -> tuple[str, ...]:
    """Says so where the host takes longer to launch a call than the device to run it."""
    if launched_s is None or launched_s <= samples.typical_s:
        return ()
    return ("launch_bound: the host takes longer to launch this than the device to run it",)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps Python's garbage collector out of the samples."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
