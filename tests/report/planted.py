"""A run with one word in every string that a journal can hold: a harmless one, or markup that must stay text."""

from __future__ import annotations

from dataclasses import replace

import builders

from hyenaprof.model import CheckEntry, CheckLine, ChoiceLine, Fingerprint, HeaderLine, MemoryLine, Outcome
from hyenaprof.records.store import Run

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>`|$x$'
HARMLESS = "w" * len(HOSTILE)


def planted(word: str) -> Run:
    """A run that holds a word in every string that a journal can hold."""
    odd = builders.make_point(
        f"zz{word}", 1024, implementation=word, device=f"cpu{word}", options=((word, word), ("zz", 1))
    )
    failed = builders.make_failure(odd.at(2048), Outcome.CRASHED, word, predicted_s=2.0)
    measured = builders.with_warnings(builders.make_record(odd, 1e-3), word)
    memory = MemoryLine(
        point=odd, peak_bytes=1024, method=word, dispatched=(word,), fingerprint_id=measured.fingerprint_id
    )
    run = builders.make_run([replace(measured, memory=memory), failed])
    fingerprint = Fingerprint(machine={word: word}, software={word: (word, word)}, protocol={word: None})
    check = CheckLine(
        point=odd,
        method=word,
        entries=(CheckEntry(quantity=word, error=None, tolerance=1e-5),),
        fingerprint_id=measured.fingerprint_id,
    )
    choice = ChoiceLine(
        operator=word,
        implementation=word,
        trial_s={word: 1e-3},
        rejected={word: word},
        fingerprint_id=measured.fingerprint_id,
    )
    return replace(
        run,
        scenario=builders.make_scenario(purpose=word),
        headers=(
            HeaderLine(
                hyenaprof=word, fingerprint=fingerprint, started_at=builders.STARTED_AT, command=("sweep", word)
            ),
        ),
        checks=(check,),
        choices=(choice,),
        warnings=(word,),
    )
