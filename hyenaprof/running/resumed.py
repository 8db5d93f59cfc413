"""What of a journal a session takes up."""

from __future__ import annotations

from collections.abc import Iterable

from hyenaprof.model import JournalLine, Outcome, SkipLine
from hyenaprof.records.store import Run, other_allocator_ids

Lines = tuple[JournalLine, ...]


def taken_up(lines: Iterable[JournalLine], standing: Run | None, *, force: bool) -> tuple[Lines, Lines]:
    """The run's own lines, and those that were measured under the other allocator; what is tried again is left out.

    Args:
        lines: The journal's.
        standing: The run that they make, None where there is none.
        force: Whether what was inferred not to fit is tried.
    """
    elsewhere = other_allocator_ids(standing.headers) if standing else frozenset()
    told = tuple(line for line in lines if not _tried_again(line, force=force))
    own = tuple(line for line in told if _fingerprint_id(line) not in elsewhere)
    return own, tuple(line for line in told if _fingerprint_id(line) in elsewhere)


def _fingerprint_id(line: JournalLine) -> str | None:
    return getattr(line, "fingerprint_id", None)


def _tried_again(line: JournalLine, *, force: bool) -> bool:
    """Whether a resumed run tries again what this line says was not timed."""
    if not isinstance(line, SkipLine):
        return False
    return (force and line.inferred) or line.outcome in {Outcome.CRASHED, Outcome.TIMEOUT}
