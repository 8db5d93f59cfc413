"""A run's folder: `scenario.yaml`, `journal.jsonl`, `worker.log`, and what `report` renders. Nothing is ever deleted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hyenaprof.errors import JournalError
from hyenaprof.model import (
    CeilingsLine,
    CheckLine,
    ChoiceLine,
    EndLine,
    Fingerprint,
    HeaderLine,
    JournalLine,
    Record,
)
from hyenaprof.records import journal
from hyenaprof.records.scenario import AS_WRITTEN, Scenario, load_scenario, scenario_as_written
from hyenaprof.records.tables import assemble

_L = TypeVar("_L", bound=JournalLine)
SCENARIO = "scenario.yaml"
WORKER_LOG = "worker.log"
_PAGE_IN_WRITING = f"{SCENARIO}.part"
_OURS = {SCENARIO, _PAGE_IN_WRITING, WORKER_LOG, f"{WORKER_LOG}.part"}


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its folder tells it; everything derived is recomputed from it."""

    folder: Path | None
    scenario: Scenario
    headers: tuple[HeaderLine, ...]
    records: tuple[Record, ...]
    other_allocator: tuple[Record, ...] = ()
    """What was measured again under an allocator other than the run's own; never mixed with its records."""
    checks: tuple[CheckLine, ...] = ()
    choices: tuple[ChoiceLine, ...] = ()
    ceilings: tuple[CeilingsLine, ...] = ()
    ends: tuple[EndLine, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """Fingerprints by id, in order of appearance."""
        return {header.fingerprint.id: header.fingerprint for header in self.headers}

    @property
    def merged(self) -> bool:
        """Whether it was put together from several runs; nothing more is measured into it."""
        return any(header.run is not None for header in self.headers)

    @property
    def finished(self) -> bool:
        """Whether the last session left nothing that more time could improve."""
        return bool(self.ends) and self.ends[-1].complete


def _of(kind: type[_L], lines: tuple[JournalLine, ...]) -> tuple[_L, ...]:
    return tuple(line for line in lines if isinstance(line, kind))


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Reads a run's folder.

    Raises:
        JournalError: No run there, or a corrupt line.
        ScenarioError: Its scenario cannot be read.
    """
    path = Path(folder)
    if path.name in {journal.NAME, SCENARIO}:
        path = path.parent
    if not (path / journal.NAME).is_file():
        raise JournalError(f"no run in {path.name or str(folder)!r}", hint="a run's folder holds journal.jsonl")
    lines, warnings = journal.read_journal(path / journal.NAME)
    return run_of(_asked_last(_scenario_of(path, lines), lines), lines, folder=path, warnings=warnings)


def _scenario_of(folder: Path, lines: tuple[JournalLine, ...]) -> Scenario:
    """The run's page, from the journal's own header where the file is gone."""
    told = next((header.scenario for header in _of(HeaderLine, lines) if header.scenario), None)
    if told is not None and not (folder / SCENARIO).exists():
        return scenario_as_written(told)
    return load_scenario(folder / SCENARIO, context=AS_WRITTEN)


def _asked_last(page: Scenario, lines: tuple[JournalLine, ...]) -> Scenario:
    """The page of the last session: the same question, perhaps with another budget, precision or number of rounds."""
    told = next((header.scenario for header in reversed(_of(HeaderLine, lines)) if header.scenario), None)
    last = page if told is None else scenario_as_written(told)
    return last if last.hash == page.hash else page


def run_of(
    scenario: Scenario, lines: tuple[JournalLine, ...], *, folder: Path | None = None, warnings: tuple[str, ...] = ()
) -> Run:
    """Puts a run together from its journal's lines."""
    headers, records = _of(HeaderLine, lines), assemble(lines)
    elsewhere = other_allocator_ids(headers)
    return Run(
        folder=folder,
        scenario=scenario,
        headers=headers,
        records=tuple(record for record in records if record.fingerprint_id not in elsewhere),
        other_allocator=tuple(record for record in records if record.fingerprint_id in elsewhere),
        checks=_of(CheckLine, lines),
        choices=_of(ChoiceLine, lines),
        ceilings=_of(CeilingsLine, lines),
        ends=_of(EndLine, lines),
        warnings=warnings,
    )


def other_allocator_ids(headers: Iterable[HeaderLine]) -> frozenset[str]:
    """Ids of the fingerprints whose allocator is not that of the first header of any run that they stand in.

    A journal that was merged holds several runs, and each has an allocator of its own.
    """
    first: dict[str | None, object] = {}
    own: dict[str, bool] = {}
    for header in headers:
        allocator = header.fingerprint.protocol.get("allocator")
        is_own = allocator == first.setdefault(header.run, allocator)
        own[header.fingerprint.id] = own.get(header.fingerprint.id, False) or is_own
    return frozenset(identity for identity, is_own in own.items() if not is_own)


def unfinished(run: Run) -> bool:
    """Whether a run's last session left something to measure."""
    return not run.finished


def choose_folder(
    scenario: Scenario,
    *,
    out: Path | None,
    fresh: bool,
    root: Path = Path("runs"),
    goes_on: Callable[[Run], bool] = unfinished,
) -> tuple[Path, Run | None]:
    """Decides where a scenario's run goes on or begins.

    An unfinished run of the same scenario is resumed; a finished one is left alone and `NAME-HASH-2` begun, as with
    `fresh`.

    Args:
        scenario: What is to be measured.
        out: The folder the user named; it must be empty or hold this scenario's run.
        fresh: Begin anew in any case.
        root: Where runs go that were given no folder.
        goes_on: Whether a run of this scenario is to be resumed.

    Returns:
        The folder, and the run that stands in it, if it is to be resumed.

    Raises:
        JournalError: The folder holds another scenario's run, or something that is no run.
    """
    first = named_folder(scenario, out, root=root)
    folder, number = first, 1
    while _holds_run(folder, scenario):
        standing = None if fresh else load_run(folder)
        if standing and standing.merged:
            raise JournalError(
                f"{folder.name} was merged from several runs", hint="go on with one of them, or name another --out"
            )
        if standing and goes_on(standing):
            return folder, standing
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder, None


def named_folder(scenario: Scenario, out: Path | None, *, root: Path = Path("runs")) -> Path:
    """The folder that the user named, else that of the scenario's first run."""
    first = out or root / f"{scenario.name}-{scenario.hash}"
    return first.resolve() if first.name in {"", ".."} else first  # a name is needed to count from


def _holds_run(folder: Path, scenario: Scenario) -> bool:
    """Whether this scenario's run stands there; the journal is not read, so that `fresh` passes a corrupt one by."""
    if folder.is_file():
        raise JournalError(f"{folder.name} is a file", hint="name a folder with --out")
    if not folder.exists():
        return False
    begun = (folder / journal.NAME).exists() and (folder / journal.NAME).stat().st_size > 0
    if not begun and any(entry.name not in {*_OURS, journal.NAME} for entry in folder.iterdir()):
        raise JournalError(f"{folder.name} holds something that is no run", hint="name an empty folder with --out")
    if begun or (folder / SCENARIO).exists():
        page = _scenario_of(folder, _header_of(folder))
        if page.hash != scenario.hash:
            raise JournalError(
                f"{folder.name} holds another scenario's run ({page.name})",
                hint="name another folder with --out; nothing was overwritten",
            )
    return begun


def _header_of(folder: Path) -> tuple[JournalLine, ...]:
    """The journal's first line alone, where the page is gone and it must tell what was asked."""
    if (folder / SCENARIO).exists():
        return ()
    return journal.read_journal(folder / journal.NAME)[0][:1]


def begin_folder(folder: Path, scenario: Scenario) -> None:
    """Makes the folder and writes its scenario, where they are not there yet.

    Raises:
        JournalError: Nothing can be written there.
    """
    page = folder / SCENARIO
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not page.exists():
            whole = folder / _PAGE_IN_WRITING  # a kill must not leave half a page: the run could not be read again
            whole.write_text(scenario.to_yaml(), encoding="utf-8")
            whole.replace(page)
    except OSError as error:
        raise JournalError(
            f"cannot write {folder}: {error.strerror}", hint="name a folder with --out that can be written"
        ) from None


def abandon_folder(folder: Path) -> None:
    """Takes back a folder just begun in which nothing was journaled: a refused request leaves nothing behind."""
    if (folder / journal.NAME).stat().st_size:
        return
    for name in (journal.NAME, SCENARIO, WORKER_LOG):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
