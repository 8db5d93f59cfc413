"""The table of sections: what a report holds, in order. A new section is one function and its name here."""

from __future__ import annotations

from collections.abc import Callable

from hyenaprof.model import Section
from hyenaprof.report import (
    allocators,
    answer,
    claims,
    evidence,
    growth,
    memory_chart,
    method,
    points,
    speedup_chart,
    time_chart,
)
from hyenaprof.report.findings import Findings

SECTIONS: dict[str, Callable[[Findings], Section | None]] = {
    "answer": answer.answer,
    "time": time_chart.time,
    "speed-up": speedup_chart.speedup,
    "memory": memory_chart.memory,
    "allocators": allocators.allocators,
    "growth": growth.growth,
    "kernels": growth.kernels,
    "claims": claims.claims,
    "points": points.points,
    "verification": evidence.verification,
    "dispatched": evidence.dispatched,
    "choices": evidence.choices,
    "bias": evidence.bias,
    "method": method.method,
    "fingerprint": method.fingerprint,
    "reproduce": method.reproduce,
}
"""Each gives its section, or None where the run has nothing to say there."""


def sections(findings: Findings) -> tuple[Section, ...]:
    """All sections that have something to say, in the table's order."""
    made = (build(findings) for build in SECTIONS.values())
    return tuple(section for section in made if section is not None)
