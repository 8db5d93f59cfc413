"""Tells whether an operator keeps memory from call to call: it would take it from the points that come after."""

from __future__ import annotations

import ctypes

import torch

from hyenaprof.devices.base import Device
from hyenaprof.units import format_bytes

_FEWEST_CALLS = 3
"""What a call or two leave behind may be a library's cache."""
_LEAST_BYTES = 2**20
"""Kept by all calls together; the samples' own bookkeeping is a tenth of it."""


_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`; its sums cover all arenas."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


def held_bytes(device: Device) -> int | None:
    """Bytes that this process has allocated and not freed, on the device that is timed; None where it cannot be told.

    On a CPU by glibc's own count, which is exact to the block where the resident size is not: 0 bytes more after 100
    calls of a sound operator, 100 results more after those of one that keeps them.
    """
    if device.torch_device.type == "cuda":
        return torch.cuda.memory_allocated(device.torch_device)
    count = getattr(ctypes.CDLL(None), "mallinfo2", None)  # glibc 2.33
    if count is None:
        return None
    count.restype = _Mallinfo
    info = count()
    return int(info.uordblks + info.hblkhd)


def leaking(before: int | None, after: int | None, *, calls: int) -> tuple[str, ...]:
    """Gives a warning where calls left memory allocated, else nothing.

    Args:
        before: Bytes held before the first of these calls, others having warmed up.
        after: Bytes held after the last, its result dropped.
        calls: How many there were.
    """
    if before is None or after is None or calls < _FEWEST_CALLS or after - before < _LEAST_BYTES:
        return ()
    return (f"leaks: each call keeps about {format_bytes((after - before) / calls)} until the process ends",)
