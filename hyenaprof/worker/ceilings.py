"""What the machine does at best, measured: copy by working set, matrix multiplication by dtype, real FFT by points."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import torch
from torch import Tensor

from hyenaprof.devices.base import Device
from hyenaprof.model import TOLERATED, CeilingsLine, Cost, DType, Phase, Visit
from hyenaprof.operators.base import TORCH_DTYPES
from hyenaprof.pipe import VisitRules
from hyenaprof.units import format_rate
from hyenaprof.worker.contention import contending_cpus
from hyenaprof.worker.iteration import Iteration
from hyenaprof.worker.measure import take

_REPETITIONS = 5
_MIB = 1024**2
_LAUNCHES = 100
_Key = TypeVar("_Key", int, str)


@dataclass(frozen=True, slots=True)
class Workload:
    """Something with a known amount of work: FLOPs, bytes or launches."""

    name: str
    call: Callable[..., Tensor]
    inputs: tuple[Tensor, ...]
    amount: float
    cost: Cost
    by_host: bool = False
    """Whether the host's time is meant, where host and device have clocks of their own."""


def measure_ceilings(device: Device, *, quick: bool, fingerprint_id: str) -> CeilingsLine:
    """Measures every ceiling, best of five; about 3 s when quick."""
    rules = VisitRules(window_s=0.02 if quick else 0.2, min_samples=3, floor_samples=3, cache="hot")
    bench = _Bench(device, rules)
    load, began_s = device.load(), time.perf_counter()
    line = CeilingsLine(
        device=device.kind,
        copy_bytes_per_s={size: bench.best(_copy(size, device)) for size in _copy_sizes(device, quick=quick)},
        gemm_flops_per_s={
            dtype.value: max(bench.best(_gemm(n, dtype, device)) for n in _gemm_sizes(device))
            for dtype in _dtypes(device)
        },
        fft_flops_per_s={points: bench.best(_fft(points, device)) for points in _fft_points(quick=quick)},
        launch_s=1 / bench.best(_launch(device)),
        spread=bench.spread,
        fingerprint_id=fingerprint_id,
    )
    foreign = contending_cpus(load, device.load(), elapsed_s=time.perf_counter() - began_s, preempted=True)
    disturbed = () if foreign is None else (f"contended: other processes used {foreign:.1f} CPUs meanwhile",)
    return line.model_copy(update={"warnings": disturbed})


@dataclass(slots=True)
class _Bench:
    """Measures workloads and keeps the spread of each."""

    device: Device
    rules: VisitRules
    spread: dict[str, float] = field(default_factory=dict)

    def best(self, workload: Workload) -> float:
        """The highest rate of five repetitions, in the workload's amount a second."""
        rates = [self._rate(workload, repetition) for repetition in range(_REPETITIONS)]
        self.spread[workload.name] = (max(rates) - min(rates)) / max(rates)
        return max(rates)

    def _rate(self, workload: Workload, repetition: int) -> float:
        """By the fastest sample: a ceiling is what the machine can do, not what it typically does."""
        iteration = Iteration(workload.call, workload.inputs, with_gradients=False)
        steps = (self.device.enact(iteration.forward, None, workload.cost, round_index=repetition),)
        samples = take(iteration, steps, (Phase.FORWARD,), self.device, self.rules)
        host_s = [sample.host_s for sample in samples.taken if sample.host_s is not None]
        return workload.amount / min(host_s if workload.by_host and host_s else samples.clean(Phase.FORWARD))


def _cost(name: str, *, flops: float, moved_bytes: float) -> Cost:
    return Cost(flops=flops, bytes=moved_bytes, need_bytes=moved_bytes, source=name)


def _copy_sizes(device: Device, *, quick: bool) -> tuple[int, ...]:
    """Working sets in bytes, from inside a core's cache to far beyond the last level."""
    sizes = (_MIB, 8 * _MIB, 64 * _MIB, 512 * _MIB) if quick else tuple(_MIB << shift for shift in range(11))
    return tuple(size for size in sizes if size * 4 < device.available_bytes())


def _copy(size: int, device: Device) -> Workload:
    source = torch.randn(device.extent(size // 8), device=device.torch_device)
    target = torch.empty_like(source)
    name = f"copy {size // _MIB} MiB"
    return Workload(name, target.copy_, (source,), size, _cost(name, flops=0, moved_bytes=size))


def _dtypes(device: Device) -> tuple[DType, ...]:
    """On a CPU float32 alone: without native support a 16-bit product takes minutes, and with it nothing here needs it."""
    if device.torch_device.type != "cuda":
        return (DType.FLOAT32, DType.FLOAT64)
    return (DType.FLOAT32, DType.BFLOAT16, DType.FLOAT16)


def _gemm_sizes(device: Device) -> tuple[int, ...]:
    """On a CPU also a product of under a millisecond, which comes through between two preemptions."""
    return (8192,) if device.torch_device.type == "cuda" else (256, 1024)


def _gemm(n: int, dtype: DType, device: Device) -> Workload:
    made = device.extent(n)
    a = torch.randn(made, made, device=device.torch_device).to(TORCH_DTYPES[dtype])
    name = f"gemm {dtype} {n}"
    flops = 2.0 * n**3
    return Workload(
        name,
        torch.mm,
        (a, a.T.contiguous()),
        flops,
        _cost(name, flops=flops, moved_bytes=3 * dtype.itemsize_bytes * n**2),
    )


def _fft_points(*, quick: bool) -> tuple[int, ...]:
    return (2048, 32768, 262144) if quick else tuple(2**power for power in range(11, 22))


def _fft(points: int, device: Device) -> Workload:
    batch = max(1, 2**20 // points)
    u = torch.randn(device.extent(batch), device.extent(points), device=device.torch_device)
    name = f"fft {points}"
    flops = 2.5 * batch * points * math.log2(points)
    return Workload(name, torch.fft.rfft, (u,), flops, _cost(name, flops=flops, moved_bytes=8 * batch * points))


def _launch(device: Device) -> Workload:
    one = torch.zeros(1, device=device.torch_device)

    def launches(tensor: Tensor) -> Tensor:
        for _ in range(_LAUNCHES):
            tensor.add_(1.0)
        return tensor

    return Workload("launch", launches, (one,), _LAUNCHES, _cost("launch", flops=0, moved_bytes=0), by_host=True)


def best_of(first: CeilingsLine, second: CeilingsLine) -> CeilingsLine:
    """The better figure of two measurements of the same ceilings; spread and warnings are the second's."""
    return second.model_copy(
        update={
            "copy_bytes_per_s": _higher(first.copy_bytes_per_s, second.copy_bytes_per_s),
            "gemm_flops_per_s": _higher(first.gemm_flops_per_s, second.gemm_flops_per_s),
            "fft_flops_per_s": _higher(first.fft_flops_per_s, second.fft_flops_per_s),
        }
    )


def _higher(first: Mapping[_Key, float], second: Mapping[_Key, float]) -> dict[_Key, float]:
    return {key: max(table[key] for table in (first, second) if key in table) for key in {**first, **second}}


def implausible(visit: Visit, cost: Cost, ceilings: CeilingsLine, *, tolerated: float = TOLERATED) -> str | None:
    """Says why a visit's time cannot be true: its work exceeds a measured ceiling by more than 10 %.

    FLOPs are held against matrix multiplication in the point's dtype, least bytes against copying a working set of that
    size or larger. None where nothing is exceeded or the ceiling is not known.

    Args:
        visit: What was measured.
        cost: The work of one call.
        ceilings: What the machine does at best.
        tolerated: Rates up to so many times a ceiling are believed.
    """
    if not visit.latency_s:
        return None
    typical_s = median(visit.clean_s)
    dtype = visit.point.dtype.value
    product, copy = ceilings.gemm_flops_per_s.get(dtype), _copy_ceiling(cost.bytes, ceilings)
    return _beyond(
        cost.flops / typical_s, product, tolerated, unit="FLOP", what=f"{dtype} matrix multiplication"
    ) or _beyond(cost.bytes / typical_s, copy, tolerated, unit="B", what="copying as much")


def _beyond(rate: float, ceiling: float | None, tolerated: float, *, unit: str, what: str) -> str | None:
    if ceiling is None or rate <= tolerated * ceiling:
        return None
    return f"{format_rate(rate, unit)} is {rate / ceiling:.3g}x the {format_rate(ceiling, unit)} measured for {what}"


def _copy_ceiling(moved_bytes: float, ceilings: CeilingsLine) -> float | None:
    """The best rate for an eighth of these bytes or more: several passes may go over data that a cache holds."""
    rates = ceilings.copy_bytes_per_s
    if not rates:
        return None
    return max((rate for size, rate in rates.items() if size >= moved_bytes / 8), default=rates[max(rates)])
