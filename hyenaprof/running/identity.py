"""Whose numbers a run holds: what may be added to it, and what must begin anew."""

from __future__ import annotations

from hyenaprof.errors import FingerprintError
from hyenaprof.model import Fingerprint, label_of
from hyenaprof.records.store import Run
from hyenaprof.running.workers import Side


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
    differences = [
        f"{part}.{key}: {getattr(there, part).get(key)} there, {getattr(here, part).get(key)} here"
        for part in ("machine", "software", "protocol")
        for key in sorted({*getattr(there, part), *getattr(here, part)})
        if getattr(there, part).get(key) != getattr(here, part).get(key)
    ]
    shown = "; ".join(differences[:4]) + (f"; and {len(differences) - 4} more" if len(differences) > 4 else "")
    return FingerprintError(
        f"the run was begun on another fingerprint: {shown}", hint="begin a new run with --fresh, or name another --out"
    )
