"""What a sweep prints when it ends: numbers per length, one sentence a phase, what failed, what to be wary of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hyenaprof.analysis.metrics import METRICS
from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.model import Curve, Outcome
from hyenaprof.records.store import Run
from hyenaprof.report import allocators
from hyenaprof.report.answer import answers, pair_name
from hyenaprof.report.findings import Finding, Findings, Panel, find
from hyenaprof.report.growth import outlooks
from hyenaprof.report.words import begun, grouped, latency_bounds, latency_interval, ratio_interval
from hyenaprof.units import UNKNOWN, format_latency, format_length

AGAINST = "speed-up: over the fastest of those the row's operator challenges, from the same rounds"
UNSTABLE = "* unstable: fewer than five visits, or the precision was not reached"


def summary(run: Run) -> RenderableType:
    """A run's end: tables of medians, speed-up and memory, then the crossovers, failures and warnings.

    Journal text is shown as text, whatever markup it holds.
    """
    findings = find(run)
    return Group(*_parts(findings))


def _parts(findings: Findings) -> Iterator[RenderableType]:
    if len(findings.places) == 1:
        yield Text(begun(findings.place_words(findings.panels[0].setting)), style="bold")
    yield Tables(findings)
    if len({pair_name(findings, crossover) for _, crossover in findings.crossovers()}) > 1:
        yield Text(AGAINST, style="dim")
    if any(finding.summary and finding.summary.unstable for finding in findings.points):
        yield Text(UNSTABLE, style="dim")
    yield Text("")
    for line in answers(findings):
        yield Text(line, style="bold")
    for line in outlooks(findings):
        yield Text(line, style="dim")
    yield from _listed("Crossovers under both allocators", allocators.lines(findings))
    yield from _listed("Not measured", _failures(findings))
    yield from _listed("Warnings", _warnings(findings), style="bold yellow")


@dataclass(frozen=True, slots=True)
class Tables:
    """A table a phase: a column an operator where the terminal is wide enough for all of them, else a row."""

    findings: Findings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The wide form where every table fits unwrapped, else the tall one."""
        unlimited = options.update(max_width=1000)
        wide = [_wide(self.findings, panel) for panel in self.findings.panels]
        fits = all(Measurement.get(console, unlimited, table).maximum <= options.max_width for table in wide)
        several = len(self.findings.places) > 1
        for panel, table in zip(self.findings.panels, wide, strict=True):
            words = f": {self.findings.place_words(panel.setting)}" if several else ""
            yield Text(f"\n{panel.setting.phase}{words}", style="bold")
            yield table if fits else _tall(self.findings, panel)
            if self.findings.has_energy and not fits:
                yield _energies(self.findings, panel)


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in headers:
        table.add_column(Text(name), justify="left" if name in ("operator", "outcome") else "right", no_wrap=True)
    return table


def _cells(panel: Panel) -> tuple[list[Curve], dict[tuple[str, int], Finding]]:
    curves = list(panel.curves())
    return [curve for curve, _ in curves], {(curve.label, f.length): f for curve, held in curves for f in held}


def _wide(findings: Findings, panel: Panel) -> Table:
    curves, cells = _cells(panel)
    names = [findings.names[curve.label] for curve in curves]
    pairs = [pair_name(findings, crossover) for crossover in panel.latency]
    ratios = ["speed-up"] if len(pairs) == 1 else pairs
    joules = names if findings.has_energy else []
    table = _table("L", *names, *ratios, *(f"memory {name}" for name in names), *(f"energy {name}" for name in joules))
    for length in panel.lengths:
        held = [cells.get((curve.label, length)) for curve in curves]
        table.add_row(
            format_length(length),
            *(_median(finding) for finding in held),
            *(Text(ratio_interval(panel.comparison(crossover, length))) for crossover in panel.latency),
            *(Text(_memory(finding)) for finding in held),
            *(Text(_energy(finding)) for finding in held if joules),
        )
    return table


def _median(finding: Finding | None) -> Text:
    if finding is None:
        return Text(UNKNOWN)
    if finding.summary is None:
        return Text(OUTCOME_WORDS[finding.record.outcome], style="red")
    return Text(latency_interval(finding.summary) + _star(finding))


def _star(finding: Finding) -> str:
    return "*" if finding.summary and finding.summary.unstable else " "


def _memory(finding: Finding | None) -> str:
    return METRICS["peak_memory_bytes"].show(METRICS["peak_memory_bytes"].value(finding.record) if finding else None)


def _energy(finding: Finding | None) -> str:
    return METRICS["energy_j"].show(METRICS["energy_j"].value(finding.record) if finding else None)


def _tall(findings: Findings, panel: Panel) -> Table:
    curves, cells = _cells(panel)
    table = _table("L", "operator", "median", "95 % interval", "n", "speed-up", "memory")
    for length in panel.lengths:
        for index, curve in enumerate(curves):
            finding = cells.get((curve.label, length))
            if finding is not None:
                table.add_row(
                    Text(format_length(length) if index == 0 else ""),
                    Text(findings.names[curve.label]),
                    *_tall_numbers(finding),
                    Text(_speedup(panel, curve, length)),
                    Text(_memory(finding)),
                )
    return table


def _energies(findings: Findings, panel: Panel) -> Table:
    """What the tall form has no room for."""
    curves, cells = _cells(panel)
    table = _table("L", *(f"energy {findings.names[curve.label]}" for curve in curves))
    for length in panel.lengths:
        energies = (Text(_energy(cells.get((curve.label, length)))) for curve in curves)
        table.add_row(Text(format_length(length)), *energies)
    return table


def _tall_numbers(finding: Finding) -> tuple[Text, Text, Text]:
    held = finding.summary
    if held is None:
        return Text(OUTCOME_WORDS[finding.record.outcome], style="red"), Text(UNKNOWN), Text(UNKNOWN)
    return (
        Text(format_latency(held.median_s) + _star(finding)),
        Text(latency_bounds(held, unit=False)),
        Text(str(held.visits)),
    )


def _speedup(panel: Panel, curve: Curve, length: int) -> str:
    """The ratio stands in the challenger's row, against the one incumbent; of several, against the fastest there."""
    held = [
        comparison
        for crossover in panel.latency
        if crossover.challenger == curve and (comparison := panel.comparison(crossover, length)) is not None
    ]
    return ratio_interval(min(held, key=lambda comparison: comparison.ratio)) if held else ""


def _listed(title: str, lines: Iterable[str], *, style: str = "bold") -> Iterator[RenderableType]:
    """A heading and its lines, those that wrap indented below themselves; nothing where there are no lines."""
    table = Table.grid(padding=(0, 1))
    for line in lines:
        table.add_row(Text(" -"), Text(line))
    if table.row_count:
        yield Text(f"\n{title}", style=style)
        yield table


def _failures(findings: Findings) -> Iterator[str]:
    reasons: dict[tuple[str, Outcome, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for finding in findings.points:
        record = finding.record
        if record.outcome is not Outcome.OK:
            key = (findings.names[record.point.label], record.outcome, record.reason or "")
            reasons[key][str(record.point.phase)].append(finding.length)
    for (name, outcome, reason), phases in reasons.items():
        where = "; ".join(f"{', '.join(same)} {_lengths(lengths)}" for same, lengths in _alike(phases))
        yield f"{name} {where}: {OUTCOME_WORDS[outcome]}" + (f", {reason}" if reason else "")


def _alike(phases: dict[str, list[int]]) -> list[tuple[list[str], list[int]]]:
    """Phases that failed at the same lengths, together."""
    together: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for phase, lengths in phases.items():
        together[tuple(sorted(lengths))].append(phase)
    return [(same, list(lengths)) for lengths, same in together.items()]


def _lengths(lengths: Sequence[int]) -> str:
    return "L=" + ", ".join(format_length(length) for length in dict.fromkeys(lengths))


def _warnings(findings: Findings) -> Iterator[str]:
    """Each kind of warning once: how often, where first, and one example."""
    yield from findings.run.warnings
    places: dict[str, dict[str, str]] = defaultdict(dict)
    for finding in findings.points:
        point = finding.record.point
        where = f"{findings.names[point.label]} {point.phase} L={format_length(finding.length)}"
        for kind, details in grouped(finding.record.warnings).items():
            places[kind][where] = details[0]
    for kind, held in places.items():
        example = f", such as: {next(iter(held.values()))}" if any(held.values()) else ""
        yield f"{kind} ({_few(list(held))}){example}"


def _few(places: Sequence[str], most: int = 3) -> str:
    return "; ".join(places[:most]) + (f" and {len(places) - most} more" if len(places) > most else "")
