"""The journal: one JSON object a line, appended and fsynced; what stands there is never rewritten."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from hyenaprof.errors import JournalError
from hyenaprof.model import LINES, SCHEMA_VERSION, JournalLine

NAME = "journal.jsonl"


def read_journal(path: Path) -> tuple[tuple[JournalLine, ...], tuple[str, ...]]:
    """Reads all whole lines.

    Returns:
        The lines in order, and warnings: a torn last line, as a kill may leave it, is dropped with one.

    Raises:
        JournalError: The file cannot be read, a newer hyenaprof wrote it, or a line that is not the last is corrupt; it
            is named by number.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {path.name}: {error.strerror}", hint="give a run's folder") from None
    _refuse_newer(raw.partition(b"\n")[0])
    whole, _, torn = raw.rpartition(b"\n")
    lines = tuple(_parse(line, number) for number, line in enumerate(whole.split(b"\n"), 1) if line.strip())
    if not torn:
        return lines, ()
    try:
        return (*lines, LINES.validate_json(torn)), ()
    except ValidationError:
        return lines, (f"{path.name}: the last line was torn and is dropped; the visit under way was lost",)


def _refuse_newer(first: bytes) -> None:
    """Raises where the first line, a header, was written by a later schema: its lines would look corrupt."""
    try:
        header = json.loads(first)
        version = header.get("schema_version") if isinstance(header, dict) else None
    except ValueError:
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise JournalError(
            f"{NAME} has schema version {version}, this hyenaprof reads up to {SCHEMA_VERSION}",
            hint="it was written by a newer hyenaprof: upgrade this one",
        )


def _parse(line: bytes, number: int) -> JournalLine:
    try:
        return LINES.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JournalError(
            f"{NAME} line {number} is corrupt: {place + ': ' if place else ''}{first['msg']}",
            hint="restore the file, or begin anew with --fresh",
        ) from None


class Journal:
    """A journal open for appending by this process alone.

    Args:
        path: The file; made where it is not there. A torn last line is cut off, so that the next one stands whole.

    Raises:
        JournalError: Another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise JournalError(
                f"another hyenaprof is writing {path.parent.name}", hint="wait for it, or use another --out"
            ) from None
        self._mend(path)

    def _mend(self, path: Path) -> None:
        raw = path.read_bytes()
        torn = raw.rpartition(b"\n")[2]
        if not torn:
            return
        try:
            LINES.validate_json(torn)
        except ValidationError:
            self._file.truncate(len(raw) - len(torn))
        else:
            self._file.write(b"\n")
        self._sync()

    def append(self, lines: Iterable[JournalLine]) -> None:
        """Writes lines in one piece and waits until they are on disk.

        Raises:
            JournalError: The disk is full or gone.
        """
        text = "".join(line.model_dump_json(exclude_defaults=False) + "\n" for line in lines)
        try:
            self._file.write(text.encode())
            self._sync()
        except OSError as error:
            raise JournalError(
                f"cannot write {NAME}: {error.strerror}", hint="what stood there stands; the same command goes on"
            ) from None

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Ends writing and lets others in."""
        with contextlib.suppress(OSError):  # what could not be written was said when it was appended
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
