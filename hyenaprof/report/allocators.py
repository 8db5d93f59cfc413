"""The crossovers under both allocators of the host: how much of the answer is the allocator's."""

from __future__ import annotations

from hyenaprof.analysis.sensitivity import SensitivityRow, sensitivity
from hyenaprof.model import Crossover, Fingerprint, Record, Section, Table
from hyenaprof.report.findings import Findings
from hyenaprof.report.words import begun
from hyenaprof.units import UNKNOWN

FEWEST_LENGTHS = 3
WHY = (
    "glibc's own settings give every large tensor back to the system and fault its pages in again on the next call; the "
    "warm allocator keeps them. That favours the side that makes fewer temporaries, so the crossover may move."
)


def allocators(findings: Findings) -> Section | None:
    """One row a pair and phase, the crossover under each allocator; None where only one was measured."""
    names, rows = both(findings)
    if not rows:
        return None
    told = tuple(_row(findings, row, names) for row in rows)
    return Section(
        title="Under both allocators",
        anchor="allocators",
        paragraphs=(WHY,),
        tables=(Table(("Phase", "Pair", *(begun(name) for name in names)), told, caption=LEGEND),),
    )


LEGEND = (
    "Crossover in tokens with its 95 % interval, each from rounds of its own under that allocator; every other figure of "
    "this report is the first allocator's. > and <: beyond the lengths that were measured; =: practically equal; ?: "
    "unresolved."
)


def both(findings: Findings) -> tuple[tuple[str, ...], tuple[SensitivityRow, ...]]:
    """The allocators' names, the run's own first, and the pairs that were compared under both of them."""
    run = findings.run
    if not run.other_allocator:
        return (), ()
    names = (_name(run.fingerprints, run.records), _name(run.fingerprints, run.other_allocator))
    rows = sensitivity(dict(zip(names, (run.records, run.other_allocator), strict=True)))
    return names, tuple(row for row in rows if len(row.found) > 1 and _was_looked_for(row.found[names[1]]))


def _was_looked_for(crossover: Crossover) -> bool:
    """Whether the budget sufficed to look around under the other allocator, rather than at a length or two."""
    return len(crossover.comparisons) >= FEWEST_LENGTHS


def _name(fingerprints: dict[str, Fingerprint], records: tuple[Record, ...]) -> str:
    held = fingerprints.get(records[0].fingerprint_id) if records else None
    return str(held.protocol.get("allocator", UNKNOWN)) if held else UNKNOWN


def _row(findings: Findings, row: SensitivityRow, names: tuple[str, ...]) -> tuple[str, ...]:
    known = findings.names
    pair = f"{known[row.challenger.label]} against {known[row.incumbent.label]}"
    return (str(row.challenger.phase), pair, *row.cells(names))


def lines(findings: Findings) -> tuple[str, ...]:
    """What the terminal says of it: a line a pair and phase, `training, hyena against flash: warm 1490 [1430, 1560]; ...`."""
    names, rows = both(findings)
    told = (_row(findings, row, names) for row in rows)
    return tuple(
        f"{phase}, {pair}: " + "; ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
        for phase, pair, *cells in told
    )
