"""The answer first: each crossover in a sentence, who leads at which length, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from hyenaprof.analysis.crossover import sentence
from hyenaprof.model import Cell, Comparison, Crossover, Figure, Flip, Section, Table
from hyenaprof.report.figures import Crossing
from hyenaprof.report.findings import Findings, Metric, Panel
from hyenaprof.report.lanes import Lane, draw_lanes
from hyenaprof.report.style import looks
from hyenaprof.report.words import SCOPE_SHORT, ratio_interval
from hyenaprof.units import UNKNOWN, format_length

NOTHING_TO_COMPARE = "No two operators were measured in the same setting, so there is no crossover to report."
ANSWERED: tuple[Metric, ...] = ("latency", "energy")
"""Peak memory, which takes no rounds, has a section of its own."""
MAP_PLACES = 6
"""Settings that are drawn; more are in the table alone."""


def answer(findings: Findings) -> Section:
    """Sentences, a map of who leads where, and the crossovers as a table."""
    compared = [place for place in findings.places if _compared(findings, place)]
    drawn, left = compared[:MAP_PLACES], len(compared) - MAP_PLACES
    unseen = (f"{left} of {len(compared)} settings have no map here; the tables have all.",) if left > 0 else ()
    return Section(
        title="Answer",
        anchor="answer",
        paragraphs=(*answers(findings), *unseen),
        figures=tuple(_map(findings, place) for place in drawn),
        tables=tuple(crossover_table(findings, metric) for metric in ANSWERED if findings.crossovers(metric)),
    )


def answers(findings: Findings) -> tuple[str, ...]:
    """The sentences on time, and on energy where it was measured; that there is nothing to compare, where there is not."""
    said = [text for metric in ANSWERED for text in sentences(findings, metric)]
    return tuple(said) or (NOTHING_TO_COMPARE,)


def sentences(findings: Findings, metric: Metric = "latency") -> list[str]:
    """One sentence a phase and pair; with its pair or setting where the run has several."""
    several = len(findings.places) > 1
    return [
        told(findings, crossover) + (f" ({findings.place_words(panel.setting)})" if several else "")
        for panel, crossover in findings.crossovers(metric)
    ]


def told(findings: Findings, crossover: Crossover) -> str:
    """The sentence, with the pair after the phase where the report has several pairs to tell apart."""
    pairs = {pair_name(findings, other) for panel in findings.panels for other in panel.latency}
    subject, _, statement = sentence(crossover, findings.names).partition(": ")
    return f"{subject}, {pair_name(findings, crossover)}: {statement}" if len(pairs) > 1 else f"{subject}: {statement}"


def told_all(findings: Findings, crossovers: Iterable[Crossover]) -> str:
    """The sentences of some crossovers, one after the other: what a figure's alt text says."""
    return " ".join(f"{told(findings, crossover)}." for crossover in crossovers)


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


def _compared(findings: Findings, place: Sequence[Panel]) -> list[tuple[Panel, Crossover]]:
    return [(panel, x) for panel, x in findings.crossovers() if panel in place and x.comparisons]


def _lanes(findings: Findings, held: Sequence[tuple[Panel, Crossover]]) -> tuple[Lane, ...]:
    pairs = {(x.challenger.label, x.incumbent.label) for _, x in held}
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
    held = _compared(findings, place)
    name = f"leaders-{place[0].number}"
    curves = [curve for panel in place for curve, _ in panel.curves()]
    drawing = draw_lanes(
        _lanes(findings, held), name=name, looks=looks(curves), names=findings.names, prints=findings.prints
    )
    return Figure(
        svg=drawing.svg,
        caption=f"Who is faster at which length: {findings.place_words(setting)}; {rounds_of(x for _, x in held)} a length. "
        f"Timed region: {SCOPE_SHORT[setting.scope]}, in the phase named. Bar: crossover with its 95 % interval; hollow: "
        "the interval of the ratio covers 1.",
        alt="Map of which operator is faster at each sequence length. " + told_all(findings, (x for _, x in held)),
        data=_ratios(findings, held),
        name=name,
        prints=drawing.prints,
    )


def rounds_of(crossovers: Iterable[Crossover]) -> str:
    """`n = 6 paired rounds`; or that some sides had no round in common, and were compared by visits of their own."""
    comparisons = [comparison for crossover in crossovers for comparison in crossover.comparisons]
    count = f"n = {counted(comparison.rounds for comparison in comparisons)}"
    apart = not all(comparison.paired for comparison in comparisons)
    return f"{count} rounds, not all paired" if apart else f"{count} paired rounds"


def counted(counts: Iterable[int]) -> str:
    """`6`, or `3 to 8` where they differ."""
    distinct = sorted(set(counts)) or [0]
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]} to {distinct[-1]}"


def _ratios(findings: Findings, held: Sequence[tuple[Panel, Crossover]]) -> Table:
    lengths = sorted({comparison.length for _, x in held for comparison in x.comparisons})
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (f"{panel.setting.phase}: {pair_name(findings, x)}", *(_ratio_cell(panel, x, length) for length in lengths))
        for panel, x in held
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


def crossover_table(findings: Findings, metric: Metric = "latency") -> Table:
    """Crossovers with their state, interval and sign bracket."""
    several = len(findings.places) > 1
    rows = tuple(
        (*((findings.place_words(panel.setting),) if several else ()), *_row(findings, crossover, flip))
        for panel, crossover in findings.crossovers(metric)
        for flip in (crossover.flips or (None,))
    )
    header = ("Phase", "Pair", "State", "Crossover", "95 % interval", "Sign bracket", "Leads", "Stopped by")
    return Table(
        (("Setting", *header) if several else header),
        rows,
        caption=("Energy of one call. " if metric == "energy" else "")
        + "Lengths in tokens. The sign bracket assumes nothing: last length with one side significantly ahead, first "
        "with the other. Leads: who does after the crossover, or throughout.",
    )


def _row(findings: Findings, crossover: Crossover, flip: Flip | None) -> tuple[str, ...]:
    why = crossover.reason or UNKNOWN
    first = (str(crossover.challenger.phase), pair_name(findings, crossover), str(crossover.state))
    if flip is None:
        winner = crossover.winner
        return (*first, UNKNOWN, UNKNOWN, UNKNOWN, findings.names.get(winner, winner) if winner else UNKNOWN, why)
    interval = UNKNOWN if flip.low is None or flip.high is None else f"{flip.low:.0f} to {flip.high:.0f}"
    before, after = (UNKNOWN if length is None else str(length) for length in flip.significant)
    leader = findings.names.get(flip.leader_after, flip.leader_after)
    return (*first, f"{flip.length:.0f}", interval, f"{before} to {after}", leader, why)
