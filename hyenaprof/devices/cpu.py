"""The CPU: a clock, preemption and load counters, memory that glibc would rather keep."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hyenaprof.devices.allocations import profiled
from hyenaprof.devices.base import MARGIN_BYTES, Device, Load, MemoryReading, Spans, Step, Timer, process_cpu_s
from hyenaprof.devices.heap import populate_heap, trim_heap
from hyenaprof.devices.procfs import available_memory_bytes, busy_cpu_s, cpu_facts, stalled_cpu_s, vector_flags
from hyenaprof.environment import allocator_in_use
from hyenaprof.model import DeviceState, DType, FactValue, Point

_NATIVE = {
    DType.BFLOAT16: {"avx512_bf16", "amx_bf16", "bf16"},
    DType.FLOAT16: {"avx512_fp16", "amx_fp16", "asimdhp"},
}
"""Instruction sets of x86 and ARM that compute in a 16-bit type."""
_FRAGMENTATION = 2.0
"""Heap over live tensors: with 1.5 times the analytic need populated, a training call still faulted in 0.3 GiB."""
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")


class CallTimer(Timer):
    """Reads a clock before and after: on a CPU a call has ended when it returns.

    Args:
        read_ns: The clock, in nanoseconds.
    """

    def __init__(self, read_ns: Callable[[], int]) -> None:
        self._read_ns = read_ns
        self._started_ns: list[int] = []
        self._stopped_ns: list[int] = []

    def start(self) -> None:
        """Begins a step."""
        self._started_ns.append(self._read_ns())

    def stop(self) -> None:
        """Ends the step begun last."""
        self._stopped_ns.append(self._read_ns())

    def spans(self) -> Spans:
        """Seconds of every step."""
        pairs = zip(self._started_ns, self._stopped_ns, strict=True)
        return Spans(device_s=tuple((stop - start) * 1e-9 for start, stop in pairs), host_s=None)


CLOCKS: dict[str, Callable[[], int]] = {"perf_counter": time.perf_counter_ns, "process_time": time.process_time_ns}
"""Readers of the clocks by name, in nanoseconds."""


class CPU(Device):
    """The machine's processor, with the threads this process was given.

    The clock is the wall's. With one thread it is the CPU time of this process, which leaves out what other processes
    took; of several threads CPU time says nothing of how long a call lasts.
    """

    kind = "cpu"
    clock = "perf_counter"

    def settle(self, threads: int) -> None:
        """Chooses the clock by the number of threads."""
        self.clock = "process_time" if threads == 1 else "perf_counter"

    def timer(self) -> Timer:
        """The wall clock, or CPU time where there is one thread."""
        return CallTimer(CLOCKS[self.clock])

    def preemptions(self) -> int:
        """Involuntary context switches of all threads of this process."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw

    def load(self) -> Load:
        """CPU seconds of this process and of everybody on its CPUs, and the time somebody waited for one."""
        return Load(cpu_s=process_cpu_s(), busy_s=busy_cpu_s(os.sched_getaffinity(0)), stalled_s=stalled_cpu_s())

    def release(self) -> None:
        """Hands freed heap pages back to the system."""
        trim_heap()

    def warm_memory(self, need_bytes: float) -> None:
        """Faults the call's pages in, where the allocator then keeps them and the call fits the memory there is.

        Never more than is available less the margin; nothing for a call that is tried by force though it needs more.

        A visit begins with an empty heap. Without this the first call of the plain Hyena took 1.2 to 2 times the CPU
        time of the third, and the second still 1.1 times (8k training, 16k forward, one thread of an EPYC).
        """
        room_bytes = self.available_bytes()
        if allocator_in_use() == "warm" and need_bytes <= room_bytes:
            populate_heap(int(min(_FRAGMENTATION * need_bytes, room_bytes)))

    def meter(self, steps: Sequence[Step]) -> MemoryReading:
        """Integrates the profiler's allocation events."""
        return profiled(steps)

    def available_bytes(self) -> int:
        """Free memory of the machine or of this process's cgroup, less the margin."""
        return max(0, available_memory_bytes() - MARGIN_BYTES)

    def state(self) -> DeviceState | None:
        """The first core's clock, where the system shows it."""
        try:
            return DeviceState(clock_mhz=int(_FREQUENCY.read_text()) / 1000)
        except (OSError, ValueError):
            return None

    def cautions(self, point: Point) -> tuple[str, ...]:
        """Names a 16-bit type without instructions of its own.

        On an EPYC with avx512_bf16 and no avx512_fp16 the backward pass of flash attention at 2048 took 0.12 s in
        float32, 0.10 s in bfloat16 and 1.0 s in float16 (one thread).
        """
        native = _NATIVE.get(point.dtype)
        if native is None or native & set(vector_flags()):
            return ()
        return (
            f"slow type: this CPU has no {point.dtype} instructions; a backward pass may take tens of times as long",
        )

    def describe(self) -> dict[str, FactValue]:
        """Model, cores, vector instructions, memory."""
        return cpu_facts()
