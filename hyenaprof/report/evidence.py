"""Why the numbers may be believed: verification, choices of implementation, order bias and drift."""

from __future__ import annotations

from hyenaprof.analysis import stats
from hyenaprof.analysis.stats import Effect
from hyenaprof.model import Cell, CheckEntry, CheckLine, Section, Table
from hyenaprof.report.findings import Findings
from hyenaprof.report.words import begun
from hyenaprof.units import UNKNOWN, format_latency, format_percent


def verification(findings: Findings) -> Section:
    """Every compared quantity with its error and tolerance."""
    rows = tuple(_check_row(check, entry) for check in findings.run.checks for entry in check.entries)
    red = sum(not check.passed for check in findings.run.checks)
    said = (
        f"{len(findings.run.checks)} checks, {red} failed. What fails is not timed."
        if rows
        else "No check in this journal."
    )
    header = ("Operator", "Checked at", "Against", "Quantity", "Error", "Tolerance", "Result")
    table = Table(header, rows, caption="Error: largest error over the largest value of the reference.")
    return Section(title="Verification", anchor="verification", paragraphs=(said,), tables=(table,) if rows else ())


def _check_row(check: CheckLine, entry: CheckEntry) -> tuple[str | Cell, ...]:
    point = check.point
    error = UNKNOWN if entry.error is None else f"{entry.error:.2g}"
    passed = Cell("passed", tone="good") if entry.passed else Cell("failed", tone="bad")
    place = f"L={point.shape.length} {point.dtype} {point.scope}"
    return (point.label, place, check.method, entry.quantity, error, f"{entry.tolerance:.2g}", passed)


def choices(findings: Findings) -> Section | None:
    """Which implementation an operator named alone stood for, and by what trial."""
    if not findings.run.choices:
        return None
    rows = tuple(
        (
            choice.operator,
            choice.implementation,
            ", ".join(f"{name} {format_latency(trial_s)}" for name, trial_s in choice.trial_s.items()),
            "; ".join(f"{name}: {reason}" for name, reason in choice.rejected.items()) or UNKNOWN,
        )
        for choice in findings.run.choices
    )
    return Section(
        title="Choice of implementation",
        anchor="choices",
        paragraphs=("An operator named alone stands for its fastest implementation that verified, by a short trial.",),
        tables=(Table(("Operator", "Chosen", "Trial medians", "Rejected"), rows),),
    )


def bias(findings: Findings) -> Section:
    """Whether coming first in a round, or coming early in the run, changed the times."""
    rows = []
    for identity in dict.fromkeys(finding.record.fingerprint_id for finding in findings.points):
        records = [f.record for f in findings.points if f.record.fingerprint_id == identity]
        rows.append(_effect_row("order: first in its round against later", identity, stats.order_bias(records)))
        rows.append(_effect_row("drift: last round against first", identity, stats.drift(records)))
    return Section(
        title="Order bias and drift",
        anchor="bias",
        paragraphs=(
            "Sides alternate within each round, so that neither effect favours one of them; both are shown all the same.",
        ),
        tables=(Table(("Effect", "Fingerprint", "On time", "95 % interval", "From", "Reading"), tuple(rows)),),
    )


def _effect_row(name: str, identity: str, effect: Effect | None) -> tuple[str | Cell, ...]:
    if effect is None:
        return (begun(name), identity, UNKNOWN, UNKNOWN, UNKNOWN, "too few rounds to say")
    interval = (
        UNKNOWN if effect.low is None or effect.high is None else f"{_signed(effect.low)} to {_signed(effect.high)}"
    )
    reading = Cell("significant", tone="warn") if effect.significant else Cell("~ none found")
    unit = "points" if name.startswith("order") else "rounds"
    return (begun(name), identity, _signed(effect.value), interval, f"{effect.count} {unit}", reading)


def _signed(fraction: float) -> str:
    return f"{'+' if fraction >= 0 else '-'}{format_percent(abs(fraction))}"
