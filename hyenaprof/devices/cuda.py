"""A CUDA GPU: events around each step, a cold L2 and a full queue before them, NVML beside them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from hyenaprof.devices.allocations import names_by_time
from hyenaprof.devices.base import MARGIN_BYTES, Device, MemoryReading, Spans, Step, Timer
from hyenaprof.devices.heap import trim_heap
from hyenaprof.devices.nvml import Nvml
from hyenaprof.devices.procfs import cpu_facts
from hyenaprof.errors import DeviceError, Unsupported
from hyenaprof.model import DeviceState, FactValue

_FASTEST_CLOCK_HZ = 2.2e9
"""Above any SM clock: spinning this many cycles a second lasts at least as long as asked."""
_SMALLEST_FLUSH_BYTES = 64 * 1024**2
_GIB = 1024**3
_CAPTURE_WARMUPS = 3
"""Calls on a side stream before a capture, as PyTorch's documentation of CUDA graphs asks for."""


class EventTimer(Timer):
    """Records an event at each start and stop; the host's clock runs from the first start to the last stop."""

    def __init__(self) -> None:
        self._events: list[torch.cuda.Event] = []
        self._host_started_s = 0.0
        self._host_stopped_s = 0.0

    def start(self) -> None:
        """Begins a step."""
        event = _event()
        if not self._events:
            self._host_started_s = time.perf_counter()
        event.record()
        self._events.append(event)

    def stop(self) -> None:
        """Ends the step begun last."""
        event = _event()
        event.record()
        self._host_stopped_s = time.perf_counter()
        self._events.append(event)

    def spans(self) -> Spans:
        """Waits for the last event; seconds between each pair."""
        self._events[-1].synchronize()
        pairs = zip(self._events[::2], self._events[1::2], strict=True)
        device_s = tuple(start.elapsed_time(stop) * 1e-3 for start, stop in pairs)
        return Spans(device_s=device_s, host_s=self._host_stopped_s - self._host_started_s)


class CUDA(Device):
    """The device kind `cuda`.

    Raises:
        DeviceError: CUDA is not to be had, or there are fewer devices than the index says.
    """

    kind = "cuda"
    clock = "CUDA events"
    asynchronous = True
    meters_warm = True

    def __init__(self, index: int | None = None) -> None:
        super().__init__(None)
        self.index = index or 0
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if self.index >= count:
            hint = f"there are {count}, counted from 0" if count else _why_none()
            raise DeviceError(f"no device cuda:{self.index}", hint=hint)
        torch.cuda.set_device(self.index)
        self._properties = torch.cuda.get_device_properties(self.index)
        self._nvml = Nvml(str(self._properties.uuid))
        self._flush: Tensor | None = None

    @property
    def torch_device(self) -> torch.device:
        """The GPU with its index."""
        return torch.device("cuda", self.index)

    def timer(self) -> Timer:
        """Events on the current stream."""
        return EventTimer()

    def synchronize(self) -> None:
        """Waits for all streams of the device."""
        torch.cuda.synchronize(self.index)

    def usable(self) -> bool:
        """False after an illegal access or a device-side assertion: every later call of the process then fails."""
        try:
            self.synchronize()
        except RuntimeError:
            return False
        return True

    def flush_cache(self) -> None:
        """Writes twice the L2's size of zeros, ahead of the timed steps on the same stream."""
        if self._flush is None:
            size = max(2 * self._properties.L2_cache_size, _SMALLEST_FLUSH_BYTES)
            self._flush = torch.empty(size, dtype=torch.uint8, device=self.torch_device)
        self._flush.zero_()

    def fill_queue(self, duration_s: float) -> None:
        """Spins one thread for at least that long, so that the steps' kernels are queued before the first one runs."""
        if duration_s > 0:
            torch.cuda._sleep(int(duration_s * _FASTEST_CLOCK_HZ))  # type: ignore[no-untyped-call]  # noqa: SLF001 -- torch's own benchmarks spin with it

    def capture(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Records each step as a graph of its own; the graphs share one pool, so that backward finds what forward saved.

        Raises:
            Unsupported: The steps cannot be captured, in CUDA's own words.
        """
        try:
            self._call_on_side_stream(steps)
            pool = torch.cuda.graph_pool_handle()
            graphs = [torch.cuda.CUDAGraph() for _ in steps]
            for graph, step in zip(graphs, steps, strict=True):
                with torch.cuda.graph(graph, pool=pool):
                    step()
        except RuntimeError as error:
            raise Unsupported(f"--cuda-graph: cannot be captured: {error}") from error
        return tuple(graph.replay for graph in graphs)

    def _call_on_side_stream(self, steps: tuple[Step, ...]) -> None:
        stream = torch.cuda.Stream(self.torch_device)  # type: ignore[no-untyped-call]  # torch leaves it so
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_CAPTURE_WARMUPS):
                for step in steps:
                    step()
        torch.cuda.current_stream().wait_stream(stream)

    def meter(self, steps: Sequence[Step]) -> MemoryReading:
        """Reads the allocator's peak after each step; kernels are named by a profiler that runs beside it."""
        self.synchronize()
        before = torch.cuda.memory_allocated(self.index)
        peaks = []
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as session:
            for step in steps:
                torch.cuda.reset_peak_memory_stats(self.index)
                step()
                peaks.append(torch.cuda.max_memory_allocated(self.index) - before)
            self.synchronize()
        return MemoryReading(
            peak_bytes=tuple(peaks), method="CUDA allocator statistics", dispatched=names_by_time(session)
        )

    def release(self) -> None:
        """Empties the caching allocator and gives the flush buffer back."""
        self._flush = None
        torch.cuda.empty_cache()
        trim_heap()

    def available_bytes(self) -> int:
        """Free memory of the device and what this process's allocator keeps unused, less the margin."""
        free, _ = torch.cuda.mem_get_info(self.index)
        kept = torch.cuda.memory_reserved(self.index) - torch.cuda.memory_allocated(self.index)
        return max(0, free + kept - MARGIN_BYTES)

    def describe(self) -> dict[str, FactValue]:
        """Name, compute capability, multiprocessors, memory, L2, power limit, and the host's CPU."""
        gpu = self._properties
        facts: dict[str, FactValue] = {
            "gpu": gpu.name,
            "compute_capability": f"{gpu.major}.{gpu.minor}",
            "multiprocessors": gpu.multi_processor_count,
            "gpu_memory_gib": round(gpu.total_memory / _GIB),
            "l2_mib": round(gpu.L2_cache_size / 1024**2),
            "power_cap_w": self._nvml.power_cap_w(),
        }
        return facts | cpu_facts()

    def software(self) -> dict[str, FactValue]:
        """The driver's version."""
        return {"driver": self._nvml.driver()}

    def state(self) -> DeviceState | None:
        """What NVML says now."""
        return self._nvml.state()

    def energy_j(self) -> float | None:
        """NVML's total-energy counter."""
        return self._nvml.energy_j()


def _why_none() -> str:
    if torch.version.cuda is None:
        return "this torch was built without CUDA"
    return "no driver or no GPU is visible: see `nvidia-smi` and CUDA_VISIBLE_DEVICES"


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch leaves it so
