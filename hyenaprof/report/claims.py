"""Published claims that a run can answer, and why it cannot answer the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from hyenaprof.analysis.claim_checks import Known, judge_claims
from hyenaprof.analysis.claims import ClaimResult, ClaimsFile, Verdict, load_claims, shared_setting
from hyenaprof.model import Cell, Section, Table
from hyenaprof.report.findings import Findings
from hyenaprof.resources import claims_files
from hyenaprof.units import UNKNOWN

TONES: dict[Verdict, Literal["good", "bad", "faint"]] = {
    Verdict.REPRODUCED: "good",
    Verdict.NOT_REPRODUCED: "bad",
    Verdict.NOT_COMPARABLE: "faint",
}


MERGED = (
    "This run was merged from runs on several machines or under several protocols: `hyenaprof claims` holds each of them "
    "against what was published."
)


def claims(findings: Findings) -> Section | None:
    """Verdicts of the shipped sources; None where none of them is about two operators of this run."""
    if findings.of_several_machines:
        return Section(title="Published claims", anchor="claims", paragraphs=(MERGED,))
    results = judge(findings, [load_claims(path) for path in claims_files().values()])
    decided = [result for result in results if result.measured is not None]
    refused = [result for result in results if result.measured is None]
    if not any(result.curve for result in results):
        return None
    return Section(
        title="Published claims",
        anchor="claims",
        paragraphs=tuple(_tally(decided, refused)),
        tables=(*((_verdicts(decided),) if decided else ()), *((_reasons(refused),) if refused else ())),
    )


def judge(findings: Findings, files: Iterable[ClaimsFile]) -> tuple[ClaimResult, ...]:
    """Verdicts on claims of these sources, on the device that the run was made on."""
    devices = dict.fromkeys(findings.device(panel.setting.device) for panel in findings.panels)
    records = [finding.record for finding in findings.points]
    return judge_claims(files, records, Known(device_name=" and ".join(devices) or None))


def _tally(decided: Sequence[ClaimResult], refused: Sequence[ClaimResult]) -> Iterable[str]:
    answered = {(result.file.name, result.claim.id) for result in decided}
    denied = {(r.file.name, r.claim.id) for r in decided if r.verdict is Verdict.NOT_REPRODUCED}
    if answered:
        yield (
            f"{len(answered)} published claim{'s' * (len(answered) != 1)} can be held against this run; "
            f"{len(denied) or 'none'} of them {'is' if len(denied) == 1 else 'are'} not reproduced in at least one setting. "
            "What a source leaves open blocks nothing: a verdict is for this run's settings and no others."
        )
    if refused:
        count = len(refused)
        yield f"{count} published claim{'s' * (count != 1)} cannot be compared with this run, for the reasons given."


def _verdicts(decided: Sequence[ClaimResult]) -> Table:
    shared = shared_setting(decided)
    together: dict[tuple[str, str, Verdict], list[ClaimResult]] = defaultdict(list)
    for result in decided:
        together[result.file.name, result.claim.id, result.verdict].append(result)
    common = f" All in {', '.join(shared)}." if shared else ""
    return Table(
        ("Source", "Claim", "Published", "Verdict", "Measured", "Why"),
        tuple(_row(same, shared) for same in together.values()),
        caption=f"Claims, and what was measured, with its 95 % interval where there is one.{common}",
    )


def _row(same: Sequence[ClaimResult], shared: Sequence[str]) -> tuple[str | Cell, ...]:
    """One verdict on one claim, the settings with the same measured value together."""
    first = same[0]
    settings: dict[str, list[str]] = defaultdict(list)
    for result in same:
        settings[result.measured or UNKNOWN].append(" ".join(word for word in result.setting if word not in shared))
    values = (f"{', '.join(filter(None, where))} {value}".strip() for value, where in settings.items())
    return (
        first.file.name,
        first.claim.statement,
        first.published,
        Cell(str(first.verdict), tone=TONES[first.verdict]),
        "; ".join(values),
        "; ".join(dict.fromkeys(result.reason for result in same)),
    )


def _reasons(refused: Sequence[ClaimResult]) -> Table:
    grouped: dict[str, list[str]] = defaultdict(list)
    for result in refused:
        grouped[result.reason].append(f"{result.file.name} {result.claim.id}")
    rows = tuple((reason, ", ".join(names)) for reason, names in grouped.items())
    return Table(
        ("Not comparable because", "Claims"),
        rows,
        caption="Named by source and claim; hyenaprof list says what the sources are.",
    )
