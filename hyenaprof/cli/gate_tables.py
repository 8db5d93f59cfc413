"""Terminal tables of a gate's plan and of a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hyenaprof.units import UNKNOWN, format_duration, format_latency, format_length, format_percent

if TYPE_CHECKING:
    from hyenaprof.records.baseline import Baseline
    from hyenaprof.running.gateplan import GatePlan


def gate_plan_table(plan: GatePlan, *, budget_s: float) -> RenderableType:
    """Iterations of a gate with predicted seconds, and the slowdown that the last one like it could have detected."""
    table = Table(title="plan, in the order of a round; times are predicted", title_justify="left", box=None)
    for title in ("operator", "read", "L", "one call", "a round", "would show"):
        table.add_column(title, justify="left" if title in {"operator", "read"} else "right")
    for each in plan.iterations:
        points = each.iteration.points
        table.add_row(
            Text(points[0].label),
            "+".join(point.phase for point in points),
            format_length(each.iteration.length),
            format_latency(each.call_s),
            format_duration(each.round_s),
            UNKNOWN if each.detectable is None else f"+{format_percent(each.detectable)}",
        )
    least, most = plan.rounds
    first, all_of_them = (format_duration(rounds * plan.round_s) for rounds in plan.rounds)
    if plan.rests_on:
        noise = f"would show: slowdown flagged with 80 % power, at the spread of {plan.rests_on}"
    else:
        noise = "what it could detect here is known once a gate ran: hyenaprof gate --self-test"
    time = (
        f"{least} rounds of both sides take about {first}, {most} of everything about {all_of_them}; only what is not"
    )
    budget = f"clear gets more than {least}, and the budget is {format_duration(budget_s)}"
    return Group(table, Text(f"{time} {budget}"), Text(noise))


def baseline_table(held: Baseline) -> RenderableType:
    """A baseline's sessions, and its points with the median of the last session that has them."""
    sessions = Table(title="sessions", title_justify="left", box=None, padding=(0, 2))
    for title in ("began", "rounds", "points", "hyenaprof"):
        sessions.add_column(title, justify="right" if title in {"rounds", "points"} else "left")
    for session in held.sessions:
        counts = (str(len(session.rounds)), str(len(session.points)))
        sessions.add_row(session.name, *counts, Text(session.hyenaprof))
    points = Table(title="points", title_justify="left", box=None, padding=(0, 2))
    for title in ("point", "sessions", "last median"):
        points.add_column(title, justify="left" if title == "point" else "right")
    for name, point in held.points.items():
        having = [session for session in held.sessions if name in session.points]
        points.add_row(
            Text(str(point)), str(len(having)), format_latency(having[-1].median_s(name) if having else None)
        )
    return Group(sessions, Text(""), points)
