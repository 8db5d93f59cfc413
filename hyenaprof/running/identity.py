"""Whose numbers a run holds: what may be added to it, and what must begin anew."""

from __future__ import annotations

from hyenaprof.analysis.crossover import find_all
from hyenaprof.analysis.stats import summarise
from hyenaprof.errors import FingerprintError
from hyenaprof.model import Fingerprint, Outcome, Record, label_of
from hyenaprof.records.fingerprints import differences, few
from hyenaprof.records.scenario import Scenario
from hyenaprof.records.store import Run
from hyenaprof.running import rounds
from hyenaprof.running.workers import Side


def goes_on(asked: Scenario, standing: Run, *, crossover_precision: float | None = None) -> bool:
    """Whether a run of the same question is resumed: it is unfinished, or more is asked of it than it was finished with.

    Rounds, precision and budget are how long to measure, not what.

    Args:
        asked: The scenario as it is asked now.
        standing: The run that stands in the folder.
        crossover_precision: Half-width asked for of the crossovers alone, where it is they that are sought.
    """
    if not standing.finished:
        return True
    if crossover_precision is not None:
        return bool(rounds.unsettled(find_all(standing.records), precision=crossover_precision))
    last = standing.scenario
    if (asked.rounds, asked.precision) == (last.rounds, last.precision):
        return False
    return any(_lacks(record, asked) for record in standing.records if record.point.shape.length in asked.lengths)


def _lacks(record: Record, asked: Scenario) -> bool:
    if record.outcome is not Outcome.OK:
        return False
    if asked.rounds is not None:
        return len(record.visits) < asked.rounds
    precision = asked.precision_on(record.point.device)
    return len(record.visits) < rounds.MOST_ROUNDS and summarise(record.visits, precision=precision).unstable


def refuse_another(standing: Run | None, here: Fingerprint) -> None:
    """Lets a run go on only where it was begun.

    Raises:
        FingerprintError: The run that is resumed was begun on another fingerprint.
    """
    if standing and standing.headers and here.id not in standing.fingerprints:
        raise _other_fingerprint(standing.headers[0].fingerprint, here)


def refuse_mixture(standing: Run | None, side: Side, here: Fingerprint) -> None:
    """Keeps one side of a resumed run to one fingerprint.

    Raises:
        FingerprintError: The run holds visits of this side on another.
    """
    if standing is None or here.id in standing.fingerprints:
        return
    label = label_of(side.operator, side.implementation, side.options)
    for record in standing.records:
        if record.visits and record.point.label == label:
            raise _other_fingerprint(standing.fingerprints[record.fingerprint_id], here)


def _other_fingerprint(there: Fingerprint, here: Fingerprint) -> FingerprintError:
    return FingerprintError(
        f"the run was begun on another fingerprint: {few(differences(there, here))}",
        hint="begin a new run with --fresh, or name another --out",
    )
