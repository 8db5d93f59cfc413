"""Why the numbers may be believed: verification, choices of implementation, order bias and drift."""

from __future__ import annotations

from collections.abc import Sequence

from hyenaprof.analysis import stats
from hyenaprof.analysis.stats import Effect
from hyenaprof.model import Cell, CheckEntry, CheckLine, Section, Table
from hyenaprof.report.findings import Findings
from hyenaprof.report.words import begun
from hyenaprof.units import UNKNOWN, format_latency, format_percent

NOT_CHECKED = "No check stands in this journal."


def verification(findings: Findings) -> Section:
    """Each check by its worst quantity, then every compared quantity with its error and tolerance."""
    checks = findings.run.checks
    red = sum(not check.passed for check in checks)
    return Section(
        title="Verification",
        anchor="verification",
        paragraphs=(f"{len(checks)} checks, {red} failed. What fails is not timed." if checks else NOT_CHECKED,),
        tables=(_worst(checks), _quantities(checks)) if checks else (),
    )


def _worst(checks: Sequence[CheckLine]) -> Table:
    rows = tuple(
        (*_checked(check), f"{len(check.entries)}", check.worst.quantity, *_error(check.worst), _result(check.passed))
        for check in checks
        if check.entries
    )
    header = ("Operator", "Checked at", "Against", "Quantities", "Worst", "Error", "Tolerance", "Result")
    return Table(header, rows, caption="Worst: nearest to, or furthest beyond, its tolerance.")


def _quantities(checks: Sequence[CheckLine]) -> Table:
    rows = tuple(
        (*_checked(check), entry.quantity, *_error(entry), _result(entry.passed))
        for check in checks
        for entry in check.entries
    )
    header = ("Operator", "Checked at", "Against", "Quantity", "Error", "Tolerance", "Result")
    return Table(header, rows, caption="Error: largest error over the largest value of the reference.")


def _checked(check: CheckLine) -> tuple[str, str, str]:
    point = check.point
    return (point.label, f"L={point.shape.length} {point.dtype} {point.scope}", check.method)


def _error(entry: CheckEntry) -> tuple[str, str]:
    return (UNKNOWN if entry.error is None else f"{entry.error:.2g}", f"{entry.tolerance:.2g}")


def _result(passed: bool) -> Cell:
    return Cell("passed", tone="good") if passed else Cell("failed", tone="bad")


def dispatched(findings: Findings) -> Section | None:
    """What really ran, as the profiler names it: the work that dominates each curve."""
    seen: dict[tuple[str, str], dict[str, None]] = {}
    for finding in findings.points:
        if finding.record.memory and finding.record.memory.dispatched:
            key = (findings.names[finding.record.point.label], str(finding.record.point.phase))
            seen.setdefault(key, {}).update(dict.fromkeys(finding.record.memory.dispatched))
    if not seen:
        return None
    rows = tuple((name, phase, ", ".join(kernels)) for (name, phase), kernels in seen.items())
    return Section(
        title="What was dispatched",
        anchor="dispatched",
        paragraphs=(
            "Operators and kernels that did the main work, by the profiler, over all lengths; most work first.",
        ),
        tables=(Table(("Operator", "Phase", "Dispatched"), rows),),
    )


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
