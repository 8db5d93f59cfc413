"""The answer first: each crossover in a sentence, who leads at which length, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hyenaprof.analysis.crossover import sentence
from hyenaprof.model import Cell, Comparison, Crossover, Figure, Flip, Section, Table
from hyenaprof.report.figures import Crossing, Lane, draw_lanes
from hyenaprof.report.findings import Findings, Panel
from hyenaprof.report.style import looks
from hyenaprof.report.words import SCOPE_SHORT, ratio_interval
from hyenaprof.units import UNKNOWN, format_length

NOTHING_TO_COMPARE = "No two operators were measured in the same setting, so there is no crossover to report."
MAP_PLACES = 12
"""Settings that are drawn; more are in the table alone."""


def answer(findings: Findings) -> Section:
    """Sentences, a map of who leads where, and the crossovers as a table."""
    return Section(
        title="Answer",
        anchor="answer",
        paragraphs=tuple(sentences(findings)) or (NOTHING_TO_COMPARE,),
        figures=tuple(_map(findings, place) for place in findings.places[:MAP_PLACES] if _lanes(findings, place)),
        tables=(_crossovers(findings),) if findings.crossovers else (),
    )


def sentences(findings: Findings) -> list[str]:
    """One sentence a phase and pair; with its setting where the run has several."""
    several = len(findings.places) > 1
    pairs = {pair_name(findings, crossover) for crossover in findings.crossovers}
    return [
        _told(findings, crossover, pair=len(pairs) > 1)
        + (f" ({findings.place_words(panel.setting)})" if several else "")
        for panel in findings.panels
        for crossover in panel.latency
    ]


def _told(findings: Findings, crossover: Crossover, *, pair: bool) -> str:
    """The sentence, with the pair after the phase where the report has several pairs to tell apart."""
    subject, _, statement = sentence(crossover, findings.names).partition(": ")
    return f"{subject}, {pair_name(findings, crossover)}: {statement}" if pair else f"{subject}: {statement}"


def crossings_of(crossovers: Sequence[Crossover]) -> tuple[Crossing, ...]:
    """Sign changes that were found significant, as marks for a figure."""
    return tuple(
        Crossing(flip.length, flip.low, flip.high)
        for crossover in crossovers
        for flip in crossover.flips
        if crossover.state in ("resolved", "several")
    )


def pair_name(findings: Findings, crossover: Crossover) -> str:
    """`hyena against flash`."""
    names = findings.names
    return f"{names[crossover.challenger.label]} against {names[crossover.incumbent.label]}"


def _lanes(findings: Findings, place: Sequence[Panel]) -> tuple[Lane, ...]:
    held = [(panel, crossover) for panel in place for crossover in panel.latency if crossover.comparisons]
    pairs = {(c.challenger.label, c.incumbent.label) for _, c in held}
    return tuple(
        Lane(
            phase=str(panel.setting.phase),
            pair=pair_name(findings, crossover) if len(pairs) > 1 else "",
            leads=tuple(_lead(findings, crossover, comparison) for comparison in crossover.comparisons),
            crossings=crossings_of([crossover]),
        )
        for panel, crossover in held
    )


def _lead(findings: Findings, crossover: Crossover, comparison: Comparison) -> tuple[int, str | None, str]:
    sides = {"challenger": crossover.challenger.label, "incumbent": crossover.incumbent.label, None: None}
    text = (
        f"{crossover.challenger.phase} L={format_length(comparison.length)}, {pair_name(findings, crossover)}: "
        f"{ratio_interval(comparison)}, {comparison.rounds} rounds"
    )
    return comparison.length, sides[comparison.leader], text


def _map(findings: Findings, place: Sequence[Panel]) -> Figure:
    setting = place[0].setting
    lanes = _lanes(findings, place)
    name = f"leaders-{place[0].number}"
    rounds = sorted({c.rounds for panel in place for x in panel.latency for c in x.comparisons})
    count = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    curves = [curve for panel in place for curve, _ in panel.curves()]
    return Figure(
        svg=draw_lanes(lanes, name=name, looks=looks(curves), names=findings.names),
        caption=f"Who is faster at which length: {findings.place_words(setting)}; n = {count} paired rounds a length. "
        f"Timed region: {SCOPE_SHORT[setting.scope]}, in the phase named. Bar: crossover with its 95 % interval; hollow: "
        "the interval of the ratio covers 1.",
        alt="Map of which operator is faster at each sequence length. "
        + " ".join(f"{sentence(x, findings.names)}." for panel in place for x in panel.latency),
        data=_ratios(findings, place),
        name=name,
    )


def _ratios(findings: Findings, place: Sequence[Panel]) -> Table:
    lengths = sorted({c.length for panel in place for x in panel.latency for c in x.comparisons})
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (f"{panel.setting.phase}: {pair_name(findings, x)}", *(_ratio_cell(panel, x, length) for length in lengths))
        for panel in place
        for x in panel.latency
    )
    return Table(
        ("Phase and pair", *(format_length(length) for length in lengths)),
        rows,
        caption="Incumbent's time over challenger's: above 1 the challenger, named first, is faster. ~ where the interval "
        "covers 1.",
    )


def _ratio_cell(panel: Panel, crossover: Crossover, length: int) -> Cell:
    comparison = panel.comparison(crossover, length)
    tones: dict[str | None, Literal["good", "warn", "faint"]] = {
        "challenger": "good",
        "incumbent": "warn",
        None: "faint",
    }
    return Cell(ratio_interval(comparison), tone=tones[comparison.leader if comparison else None])


def _crossovers(findings: Findings) -> Table:
    several = len(findings.places) > 1
    rows = tuple(
        (*((findings.place_words(panel.setting),) if several else ()), *_row(findings, crossover, metric, flip))
        for metric in ("time", "peak memory")
        for panel in findings.panels
        for crossover in (panel.latency if metric == "time" else panel.memory)
        for flip in (crossover.flips or (None,))
    )
    header = ("Phase", "In", "Pair", "State", "Crossover", "95 % interval", "Sign bracket", "Then leads")
    return Table(
        (("Setting", *header) if several else header),
        rows,
        caption="Lengths in tokens. The sign bracket assumes nothing: last length with one side significantly ahead, first "
        "with the other.",
    )


def _row(findings: Findings, crossover: Crossover, metric: str, flip: Flip | None) -> tuple[str, ...]:
    first = (str(crossover.challenger.phase), metric, pair_name(findings, crossover), str(crossover.state))
    if flip is None:
        winner = crossover.winner
        return (*first, UNKNOWN, UNKNOWN, UNKNOWN, findings.names.get(winner, winner) if winner else UNKNOWN)
    interval = UNKNOWN if flip.low is None or flip.high is None else f"{flip.low:.0f} to {flip.high:.0f}"
    before, after = (UNKNOWN if length is None else str(length) for length in flip.significant)
    leader = findings.names.get(flip.leader_after, flip.leader_after)
    return (*first, f"{flip.length:.0f}", interval, f"{before} to {after}", leader)
