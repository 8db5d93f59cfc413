"""What a raised exception means for a point: oom, unsupported, or crashed with where and why."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from hyenaprof.errors import DeviceError, HyenaprofError, Unsupported
from hyenaprof.model import Outcome
from hyenaprof.pipe import Refusal
from hyenaprof.scrub import scrub

_HOST_OOM_WORDS = ("DefaultCPUAllocator", "not enough memory", "std::bad_alloc", "Cannot allocate memory")
"""How torch's CPU allocator and C++ say it: a plain RuntimeError."""
_LONGEST = 400
"""Characters of a reason; the whole text is in the worker's log."""


T = TypeVar("T")


class NotDispatched(Exception):  # noqa: N818 -- an outcome, not an error
    """Something else ran than the implementation's name says; the point becomes `incorrect`."""


def attempt(work: Callable[[], T]) -> T | Refusal:
    """Runs an operator's code: whatever it raises becomes a refusal, and its traceback goes to the worker's log.

    The one broad catch of the project: what an operator or a library may raise is not ours to know.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 -- see above
        traceback.print_exc()
        return refusal(error)


def refusal(error: Exception) -> Refusal:
    """Gives the outcome and the scrubbed reason of an exception that ended a request."""
    return Refusal(outcome=outcome_of(error), reason=reason_of(error))


def outcome_of(error: BaseException) -> Outcome:
    """Out of memory on the device or the host, unsupported, or crashed."""
    if isinstance(error, Unsupported | DeviceError):
        return Outcome.UNSUPPORTED
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return Outcome.OOM
    if isinstance(error, NotDispatched):
        return Outcome.INCORRECT
    said = str(error)
    if isinstance(error, RuntimeError) and any(words in said for words in _HOST_OOM_WORDS):
        return Outcome.OOM
    return Outcome.CRASHED


def reason_of(error: Exception) -> str:
    """One line: what was said, and for a crash also the type and the innermost line that raised it."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, Unsupported | NotDispatched):
        return scrub(" ".join(str(error).split()))[:_LONGEST]
    if isinstance(error, HyenaprofError):
        return scrub(said if error.hint is None else f"{said} ({error.hint})")[:_LONGEST]
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return scrub(text)[:_LONGEST] + (_place(error) if outcome_of(error) is Outcome.CRASHED else "")


def _place(error: Exception) -> str:
    """Where it was raised, by file name alone."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""
