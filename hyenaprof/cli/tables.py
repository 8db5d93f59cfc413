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
    from hyenaprof.running.dryrun import Plan


def implementation_list(statuses: Sequence[ImplementationStatus], *, options: bool = False) -> RenderableType:
    """Operators by family with growth with L, paper and what runs here; then why the others do not, each reason once.

    Args:
        statuses: Of every implementation, in table order.
        options: Whether each operator's options are named, with what they may be.
    """
    entries = operator_table()
    names = list(dict.fromkeys(status.operator for status in statuses))
    table = Table.grid(padding=(0, 2))
    for family in dict.fromkeys(entries[name].family for name in names):
        table.add_row(Text(family, "underline"))
        for name in names:
            if entries[name].family == family:
                _add_operator(table, name, [status for status in statuses if status.operator == name], options=options)
    return Group(table, *_absent(statuses))


def _add_operator(table: Table, name: str, statuses: Sequence[ImplementationStatus], *, options: bool) -> None:
    entry = operator_table()[name]
    table.add_row(Text(f"  {name}", "bold"), Text(f"time grows as {entry.growth}; {entry.paper}"))
    for available, title, style in ((True, "runs here", "green"), (False, "does not", "red")):
        labels = [f"{name}:{status.implementation}" for status in statuses if status.available is available]
        if labels:
            table.add_row(Text(f"    {title}", style), Text(", ".join(labels)))
    if options and entry.options:
        table.add_row(Text("    options", "dim"), Text(", ".join(map(entry.option_words, entry.options)), "dim"))


def _absent(statuses: Sequence[ImplementationStatus]) -> Iterator[RenderableType]:
    """What does not run here by its reason, with the line that installs it where that would help."""
    reasons: dict[tuple[str, str | None], list[str]] = {}
    for status in statuses:
        if not status.available:
            label = f"{status.operator}:{status.implementation}"
            reasons.setdefault((status.reason or "", status.install), []).append(label)
    if reasons:
        yield Text("why not", "underline")
    for (reason, install), labels in reasons.items():
        yield Text.assemble(f"  {', '.join(labels)}: ", (reason, "red"))
        if install:
            yield Text(f"    install: {install}")


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


def plan_table(plan: Plan, *, budget_s: float) -> RenderableType:
    """Points in the order of the first round, with predicted seconds; all of it is prediction."""
    table = Table(title="plan, in the order of the first round; times are predicted", title_justify="left", box=None)
    for title in ("operator", "read", "L", "one call", "first rounds", "memory", "rests on"):
        table.add_column(title, justify="right" if title in {"L", "one call", "first rounds", "memory"} else "left")
    spent_s = 0.0
    for visit in plan.visits:
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
    alone = (f"{name} is named alone: only the fastest of these is measured, after a trial" for name in plan.alone)
    return Group(table, total, *alone, *_absent(plan.absent))
