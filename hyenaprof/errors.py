"""What hyenaprof raises: one clear sentence, a hint, and the exit code of the command that meets it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HyenaprofError(Exception):
    """Something the user can act on.

    Args:
        message: One sentence that names the value and the limit.
        hint: The next step, or None where there is none to give.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ScenarioError(HyenaprofError):
    """A flag, a YAML key or a combination of them that cannot be measured."""


class JournalError(HyenaprofError):
    """A run's folder that cannot be read, or holds something else than expected."""


class MergeError(HyenaprofError):
    """Runs that contradict each other: unequal visits under one key.

    Args:
        message: As of every error here.
        hint: Likewise.
        contradictions: Each of those visits, with what it is in both runs.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None, *, contradictions: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.contradictions = contradictions


class TableError(HyenaprofError):
    """A table of times from elsewhere that cannot be read."""


class ToleranceError(HyenaprofError):
    """A gate's file of tolerances or of expected changes that cannot be read, or an expected change that has expired."""


class BaselineError(HyenaprofError):
    """A baseline's file that cannot be read, or holds something else than expected."""


class OperatorError(HyenaprofError):
    """Tensors or options that an operator cannot take."""


class DeviceError(HyenaprofError):
    """A device that is not there."""

    exit_code = 3


class FingerprintError(HyenaprofError):
    """A run begun on another machine, software or protocol."""

    exit_code = 3


class NothingMeasuredError(HyenaprofError):
    """A command whose every point failed or was left out."""

    exit_code = 3


class WorkerError(HyenaprofError):
    """A worker that could not be started or spoke another protocol."""

    exit_code = 3


class GateError(HyenaprofError):
    """Two sides that cannot be had: no repository, no such commit, or a build that fails."""


class Unsupported(Exception):  # noqa: N818 -- an outcome, not an error
    """An implementation that cannot run this shape, dtype or device here; the text is the reason shown.

    Raised by `Operator.build`. It is an outcome, not an error: the point becomes `unsupported`.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Gives a hint naming the nearest known word, else all of them.

    Args:
        word: What the user wrote.
        known: What would have been understood.

    Returns:
        `did you mean 'flash'?`, or `known: attention, flash, hyena`.
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
