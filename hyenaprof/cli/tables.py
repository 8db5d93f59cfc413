"""Terminal tables of the commands that show what could be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hyenaprof.operators import operator_table
from hyenaprof.units import UNKNOWN, format_bytes, format_duration, format_latency, format_length

if TYPE_CHECKING:
    from hyenaprof.pipe import Finding, ImplementationStatus
    from hyenaprof.running.dryrun import PlannedVisit


def implementation_list(statuses: Sequence[ImplementationStatus]) -> RenderableType:
    """Operators with family, growth with L and paper; under each its implementations, here or why not."""
    entries = operator_table()
    lines: list[Text] = []
    for name in dict.fromkeys(status.operator for status in statuses):
        entry = entries[name]
        lines.append(Text.assemble((name, "bold"), f"  {entry.family}, time grows as {entry.growth}"))
        lines.append(Text(f"    {entry.paper}", "dim"))
        for status in statuses:
            if status.operator == name:
                lines.extend(_status_lines(status))
    return Group(*lines)


def _status_lines(status: ImplementationStatus) -> Iterator[Text]:
    label = f"  {status.operator}:{status.implementation}".ljust(24)
    if status.available:
        yield Text.assemble(label, ("yes", "green"))
        return
    yield Text.assemble(label, ("no  ", "red"), status.reason or "")
    if status.install:
        yield Text(f"{'':24}install: {status.install}")


def finding_list(findings: Sequence[Finding]) -> RenderableType:
    """Findings by topic, each with what to do about it."""
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        table.add_row(Text(finding.topic, "bold"), Text(finding.state))
        if finding.advice:
            table.add_row("", Text(f"-> {finding.advice}", "yellow"))
    return table


def scenario_table(scenarios: Mapping[str, Path]) -> RenderableType:
    """Shipped scenarios with their purpose."""
    from hyenaprof.records.scenario import load_scenario

    table = Table(title="scenarios (hyenaprof sweep NAME)", title_justify="left", box=None, padding=(0, 2))
    table.add_column("name")
    table.add_column("purpose")
    for name, path in sorted(scenarios.items()):
        table.add_row(name, Text(load_scenario(path).purpose or UNKNOWN))
    return table


def claims_table(sources: Mapping[str, Path]) -> RenderableType:
    """Shipped sources of published claims, with what they are and how many claims each holds."""
    from hyenaprof.analysis.claims import load_claims

    table = Table(title="published claims (hyenaprof claims RUN NAME)", title_justify="left", box=None, padding=(0, 2))
    for title in ("name", "claims", "source"):
        table.add_column(title, justify="right" if title == "claims" else "left")
    for name, path in sorted(sources.items()):
        file = load_claims(path)
        table.add_row(name, str(len(file.claims)), Text(file.source))
    return table


def plan_table(plan: Sequence[PlannedVisit], *, budget_s: float) -> RenderableType:
    """Points in the order of the first round, with predicted seconds; all of it is prediction."""
    table = Table(title="plan, in the order of the first round; times are predicted", title_justify="left", box=None)
    for title in ("operator", "read", "L", "one call", "first rounds", "memory", "rests on"):
        table.add_column(title, justify="right" if title in {"L", "one call", "first rounds", "memory"} else "left")
    spent_s = 0.0
    for visit in plan:
        points = visit.iteration.points
        spent_s += visit.rounds_s
        table.add_row(
            Text(points[0].label),
            "+".join(point.phase for point in points),
            format_length(visit.iteration.length),
            format_latency(visit.call_s),
            format_duration(visit.rounds_s),
            format_bytes(visit.need_bytes),
            "visits" if visit.measured else "formula",
            style=None if spent_s <= budget_s else "dim",
        )
    total = f"in all about {format_duration(spent_s)}, before precision and crossovers are refined"
    if spent_s > budget_s:
        total += f"; what goes past the budget of {format_duration(budget_s)} will be left out as over budget"
    return Group(table, total)
