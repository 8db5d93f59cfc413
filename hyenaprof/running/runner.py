"""A sweep or a search from request to run: the folder chosen, a session held, the loop run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hyenaprof.records.journal import NAME, read_journal
from hyenaprof.records.scenario import Scenario
from hyenaprof.records.store import Run, choose_folder, load_run, named_folder
from hyenaprof.running.allocators import under_other_allocator
from hyenaprof.running.choice import chosen_sides, possible_sides
from hyenaprof.running.identity import goes_on
from hyenaprof.running.progress import Display
from hyenaprof.running.search import Search
from hyenaprof.running.session import Session
from hyenaprof.running.sweep import Sweep
from hyenaprof.running.workers import Side


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What the command line asks for beside the scenario.

    Attributes:
        scenario: What is to be measured.
        out: Folder the user named.
        fresh: Begin a new run in any case.
        refine: Add lengths between those of the grid around each crossover.
        pythons: Another environment's interpreter by `operator:implementation`.
        crossover_precision: Go straight for the crossovers, until their intervals' half-widths are within this.
        timeout_s: Seconds after which an operator that gives no answer is killed; None for a limit by prediction.
        force: Try points that inference says will not fit the memory.
    """

    scenario: Scenario
    out: Path | None = None
    fresh: bool = False
    refine: bool = True
    pythons: Mapping[str, str] | None = None
    crossover_precision: float | None = None
    timeout_s: float | None = None
    force: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """Words after `hyenaprof` that ask for the same, the page saved as scenario.yaml; no path of this machine."""
        straight = self.crossover_precision is not None
        how = ("--precision", f"{self.crossover_precision:g}") if straight else ()
        return (
            *("crossover" if straight else "sweep", "scenario.yaml", *how),
            *(() if straight or self.refine else ("--no-refine",)),
            *(("--timeout", f"{self.timeout_s:g}s") if self.timeout_s is not None else ()),
            *(("--force",) if self.force else ()),
            *(word for side in sorted(self.pythons or {}) for word in ("--python", f"{side}=PATH")),
        )


def sweep(request: SweepRequest, display: Display) -> Run:
    """Measures a scenario, resuming what stands of it.

    Returns:
        The run as it stands on disk afterwards.

    Raises:
        HyenaprofError: It could not begin: other fingerprint, no device, a folder that holds something else.
        Interrupted: After the workers were ended; the journal holds all finished visits.
    """
    try:
        return load_run(_measured(request, display))
    finally:
        display.close()


def _measured(request: SweepRequest, display: Display) -> Path:
    pythons = request.pythons or {}
    first = possible_sides(request.scenario, pythons)[0]
    folder, standing = standing_run(request)
    lines = read_journal(folder / NAME)[0] if standing else ()
    if standing:
        visits = sum(len(record.visits) for record in standing.records)
        display.note(f"going on with {folder}: {visits} visits stand in its journal")
        for warning in standing.warnings:
            display.warn(warning)
    elif (finished := _finished_before(request, folder)) is not None:
        display.note(f"{finished} is finished and stays as it is: {folder} begins anew")
    try:
        session = Session(
            request.scenario,
            folder,
            standing=standing,
            lines=lines,
            display=display,
            first_side=first,
            timeout_s=request.timeout_s,
            force=request.force,
            command=request.command,
        )
    except KeyboardInterrupt:
        if standing is None:
            raise
        raise Interrupted(folder) from None
    try:
        sides = chosen_sides(session, standing, pythons)
        session.know_ceilings(sides[0])
        loop = _loop(request, session, sides)
        loop.measure()
        if request.refine and request.crossover_precision is None:
            under_other_allocator(session, sides, loop.crossovers())
        loop.end()
    except KeyboardInterrupt:
        raise Interrupted(folder) from None
    finally:
        session.close()
    return folder


def _loop(request: SweepRequest, session: Session, sides: tuple[Side, ...]) -> Sweep:
    if request.crossover_precision is None:
        return Sweep(session, sides, refine=request.refine)
    return Search(session, sides, precision=request.crossover_precision)


def standing_run(request: SweepRequest) -> tuple[Path, Run | None]:
    """The folder that a request goes to, and the run that is resumed there.

    Raises:
        JournalError: The folder holds another scenario's run, or something that is no run.
    """
    return choose_folder(
        request.scenario,
        out=request.out,
        fresh=request.fresh,
        goes_on=lambda run: goes_on(request.scenario, run, crossover_precision=request.crossover_precision),
    )


def _finished_before(request: SweepRequest, folder: Path) -> Path | None:
    """The finished run in whose place this one would stand; None where there is none, or a new one was asked for."""
    first = named_folder(request.scenario, request.out)
    return None if request.fresh or folder == first else first


class Interrupted(KeyboardInterrupt):
    """A sweep that was stopped from outside; every finished visit stands in its folder.

    Attributes:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
