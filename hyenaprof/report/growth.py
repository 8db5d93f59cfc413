"""How time grows with length, what that predicts, and how the crossover moves with kernels and hardware."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hyenaprof.analysis.overview import REACHES, outlook, predictions, scalings_of
from hyenaprof.analysis.scaling import Scaling, stretch_words
from hyenaprof.analysis.sensitivity import SensitivityRow, side_by_side
from hyenaprof.analysis.sentence import settings_apart
from hyenaprof.model import Cell, Crossover, Section, Table
from hyenaprof.report.findings import Findings, Panel
from hyenaprof.report.words import exponent_interval, predicted_latency
from hyenaprof.units import UNKNOWN, format_percent


def growth(findings: Findings) -> Section | None:
    """Growth exponents, fits and predictions; None where no curve has two measured lengths."""
    grown = [(panel, s) for panel in findings.panels for s in _scalings(panel) if s.local is not None]
    if not grown:
        return None
    scalings = [scaling for _, scaling in grown]
    apart = _settings(findings, grown)
    several = any(apart)
    rows = tuple(
        (*((setting,) if several else ()), *_row(findings, scaling))
        for setting, scaling in zip(apart, scalings, strict=True)
    )
    header = ("Operator", "Phase", "Time grows as", "From", "To", "Fit within", *(f"{n}x the longest" for n in REACHES))
    return Section(
        title="Growth with length",
        anchor="growth",
        paragraphs=tuple(f"{line}." for line in (*_warnings(findings, grown), *outlooks(findings))),
        tables=(
            Table(
                ("Setting", *header) if several else header,
                rows,
                caption=f"Exponent of {stretch_words(s.local for s in scalings)} with its 95 % interval. The fit is "
                "a + bL + cL ln L + dL^2 with no negative term, by relative residuals, from four lengths on; ~ and "
                "what stands past the longest measured length is predicted by it, not measured, and enters no crossover and "
                "no verdict. Nothing is predicted past a memory limit.",
            ),
        ),
    )


def _settings(findings: Findings, grown: Sequence[tuple[Panel, Scaling]]) -> list[str]:
    """What tells each row's setting from the others', the machine included where there are several; else empty."""
    apart = settings_apart(scaling.curve for _, scaling in grown)
    machines = [findings.machine(panel.setting) if findings.of_several_machines else "" for panel, _ in grown]
    return [
        ", ".join(filter(None, (apart[scaling.curve], machine)))
        for (_, scaling), machine in zip(grown, machines, strict=True)
    ]


def _row(findings: Findings, scaling: Scaling) -> tuple[str | Cell, ...]:
    beyond = {prediction.length: prediction for prediction in predictions(scaling)}
    grown = scaling.local
    longest = max(scaling.observed)
    return (
        findings.names[scaling.curve.label],
        str(scaling.curve.phase),
        Cell(exponent_interval(grown), tone="warn" if scaling.warning else ""),
        str(grown.lengths[0]) if grown else UNKNOWN,
        str(grown.lengths[1]) if grown else UNKNOWN,
        format_percent(scaling.residual),
        *(Cell(predicted_latency(beyond.get(reach * longest)), tone="faint") for reach in REACHES),
    )


def _warnings(findings: Findings, grown: Iterable[tuple[Panel, Scaling]]) -> Iterable[str]:
    for panel, scaling in grown:
        if scaling.warning:
            label = scaling.curve.label
            where = f" (on {findings.machine(panel.setting)})" if findings.of_several_machines else ""
            yield f"{scaling.curve.phase}: {scaling.warning.replace(label, findings.names[label])}{where}"


def beyond(crossover: Crossover, scalings: Iterable[Scaling], names: Mapping[str, str]) -> str | None:
    """What the fitted costs say past the range where the incumbent leads to its end, in words that call it a prediction.

    Args:
        crossover: In time.
        scalings: Of its two curves, among others.
        names: What each label is called.
    """
    found = outlook(crossover, scalings)
    if found is None:
        return None
    ours, theirs = names[found.challenger], names[found.incumbent]
    if found.by is None:
        return f"predicted, not measured: {ours} does not clearly overtake {theirs} up to {found.reach}"
    return f"predicted, not measured: {ours} overtakes {theirs} before {found.by}"


def _scalings(panel: Panel) -> tuple[Scaling, ...]:
    """Growth of the panel's curves: a merged run holds the same curve once a machine, and no fit mixes them."""
    return scalings_of(finding.record for finding in panel.findings)


def outlooks(findings: Findings) -> Iterator[str]:
    """What may come past the range, by phase and, where there are several, setting."""
    several = len(findings.places) > 1
    scalings = {panel.number: _scalings(panel) for panel in findings.panels}
    for panel, crossover in findings.crossovers():
        text = beyond(crossover, scalings[panel.number], findings.names)
        if text is not None:
            yield f"{panel.setting.phase}: {text}" + (f" ({findings.place_words(panel.setting)})" if several else "")


def kernels(findings: Findings) -> Section | None:
    """Crossovers by pair of implementations and by device; None where the run has but one of each."""
    machines = _machines(findings)
    rows = side_by_side(machines)
    pairs = Counter((row.challenger.operator, row.incumbent.operator) for row in rows if _is_first_setting(row, rows))
    if len(machines) < 2 and max(pairs.values(), default=0) < 2:
        return None
    devices = tuple(machines)
    apart = settings_apart(row.challenger for row in rows)
    several = any(apart.values())
    return Section(
        title="How sensitive the crossover is to kernels and hardware",
        anchor="kernels",
        tables=(
            Table(
                (*(("Setting",) if several else ()), "Phase", "Pair", *devices),
                tuple(
                    (
                        *((apart[row.challenger],) if several else ()),
                        str(row.challenger.phase),
                        f"{findings.names[row.challenger.label]} against {findings.names[row.incumbent.label]}",
                        *row.cells(devices),
                    )
                    for row in rows
                ),
                caption="Length in tokens at which the first overtakes the second, with its 95 % interval. >: not up to "
                "that length; <: already from it on; =: practically equal; ?: hidden by noise.",
            ),
        ),
    )


def _is_first_setting(row: SensitivityRow, rows: Iterable[SensitivityRow]) -> bool:
    """Whether the row is in the setting that its pair of operators appears in first, so that each pair counts once."""
    pair = (row.challenger.operator, row.incumbent.operator)
    first = next(other for other in rows if (other.challenger.operator, other.incumbent.operator) == pair)
    return row.challenger.setting == first.challenger.setting


def _machines(findings: Findings) -> dict[str, list[Crossover]]:
    """Crossovers in time by the name of the device they were measured on."""
    held: dict[str, list[Crossover]] = defaultdict(list)
    for panel in findings.panels:
        held[findings.machine(panel.setting)].extend(panel.latency)
    return dict(held)
