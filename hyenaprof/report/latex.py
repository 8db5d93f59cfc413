"""A run as a LaTeX table in the style of booktabs, for papers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.records.store import Run
from hyenaprof.report.answer import pair_name
from hyenaprof.report.findings import Finding, Findings, Panel, find
from hyenaprof.report.words import latency_interval, ratio_interval
from hyenaprof.units import UNKNOWN, format_length

_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    UNKNOWN: "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SIGNS.get(sign, sign) for sign in " ".join(text.split()))


def booktabs(run: Run) -> str:
    r"""One `tabular` a setting and phase, each under a comment that says what was timed; needs `\usepackage{booktabs}`.

    Median of visits with its 95 % interval, then the ratio of paired rounds, `~` where it covers 1. A point that failed
    says so.
    """
    findings = find(run)
    return "\n".join(_panel(findings, panel) for panel in findings.panels)


def write_latex(run: Run, path: Path) -> Path:
    """Writes the tables.

    Returns:
        The path written.
    """
    path.write_text(booktabs(run), encoding="utf-8")
    return path


def _panel(findings: Findings, panel: Panel) -> str:
    curves = [curve for curve, _ in panel.curves()]
    header = ["$L$", *(findings.names[curve.label] for curve in curves)]
    header += [pair_name(findings, crossover) for crossover in panel.latency]
    lines = [
        # One line whatever a label holds: a comment ends where the line does.
        f"% {' '.join(findings.place_words(panel.setting, phase=True).split())}; median [95 % interval], ratio of times",
        rf"\begin{{tabular}}{{{'r' * len(header)}}}",
        r"\toprule",
        _row([header[0], *(escape(name) for name in header[1:])]),
        r"\midrule",
        *_rows(panel),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _rows(panel: Panel) -> Iterator[str]:
    held = {(finding.record.point.label, finding.length): finding for finding in panel.findings}
    for length in panel.lengths:
        yield _row(
            [
                format_length(length),
                *(escape(_cell(held.get((curve.label, length)))) for curve, _ in panel.curves()),
                *(escape(ratio_interval(panel.comparison(crossover, length))) for crossover in panel.latency),
            ]
        )


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return UNKNOWN
    return latency_interval(finding.summary) if finding.summary else OUTCOME_WORDS[finding.record.outcome]


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
