"""The C heap under torch's CPU tensors: its pages made present before a call, and handed back after a visit."""

from __future__ import annotations

import ctypes
import mmap

import torch

_MADV_POPULATE_WRITE = 23
"""Linux 5.14: faults all pages of a range in at once."""


def trim_heap() -> None:
    """Calls glibc's malloc_trim; another C library has none and keeps its pages."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def populate_heap(size_bytes: int) -> None:
    """Faults pages in and leaves them, free, with the allocator.

    Of use only where the allocator keeps freed memory (the `warm` setting): the block goes back to the heap's top, from
    which the next call's tensors are cut.
    """
    block = torch.empty(size_bytes, dtype=torch.uint8)
    start = -(-block.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    length = max(0, block.data_ptr() + size_bytes - start)
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    if madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_POPULATE_WRITE) != 0:
        block.zero_()  # an older kernel: touch them one by one
