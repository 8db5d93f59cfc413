"""Hands freed heap pages back to the system."""

from __future__ import annotations

import ctypes


def trim_heap() -> None:
    """Calls glibc's malloc_trim; another C library has none and keeps its pages."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
