"""What was done and on what, so that it can be judged and done again."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

from hyenaprof.model import FactValue, Section, Table
from hyenaprof.records.store import other_allocator_ids
from hyenaprof.report.findings import Findings
from hyenaprof.report.words import PHASE_WORDS, SCOPE_WORDS, begun
from hyenaprof.units import (
    UNKNOWN,
    format_bytes,
    format_duration,
    format_latency,
    format_length,
    format_percent,
    format_rate,
)

_CLOCK = (
    "Inputs are seeded random tensors made before the clock starts; gradients are cleared outside the timed region. A visit "
    "is one operator at one point in one process: warm-up, then samples. A round is one visit of each side, one after "
    "the other, in alternating order, in fresh processes."
)
_INTERVAL = (
    "A point's time is the median of its visits' medians; its 95 % interval is a t interval over visits (trimmed from eight "
    "on), never over samples, because samples of one process are no replicates. Ratios are paired by round."
)
_FAILURE = (
    "A point that was not measured is a row with its outcome and reason. Predictions come from the fastest visits at other "
    "lengths and the analytic cost, a tenth on the safe side; they decide what is attempted, are drawn hollow, and enter no "
    "crossover."
)
SWEEP = ("sweep", "scenario.yaml")
"""What asks for a run whose journal does not name its command: those of before it did were sweeps."""
HOW = (_CLOCK, _INTERVAL, _FAILURE)
MEASURED_ENERGY = (
    "joules of one call by the device's counter, over the samples where they fill a second, else over a second of untimed "
    "calls in a row, between which the cache is not flushed; median over visits"
)
NO_ENERGY = "not measurable: the device has no energy counter that could be read"
CLOCK_WORDS = {
    "perf_counter": "perf_counter: the wall clock",
    "process_time": "process_time: CPU seconds of the process, since it has one thread; what others took is left out",
    "CUDA events": "CUDA events: the GPU's own clock, read before and after each phase",
    "virtual": "virtual: the fake device's, moved on by analytic costs; nothing was timed",
}


def method(findings: Findings) -> Section:
    """What the timed region holds, and the rules the numbers were made by."""
    run = findings.run
    scopes = dict.fromkeys(panel.setting.scope for panel in findings.panels)
    phases = dict.fromkeys(panel.setting.phase for panel in findings.panels)
    rows = (
        *(("Scope", f"{scope}: {SCOPE_WORDS[scope]}") for scope in scopes),
        *(("Phase", f"{phase}: {PHASE_WORDS[phase]}") for phase in phases),
        *_sizes(findings),
        ("Rounds", _rounds(findings)),
        ("Precision asked", ", ".join(_precisions(findings)) or UNKNOWN),
        ("Budget", format_duration(run.scenario.budget)),
        *_protocol(findings),
        ("Implausible", _implausible(findings)),
        ("Energy", MEASURED_ENERGY if findings.has_energy else NO_ENERGY),
        ("Seed", str(run.scenario.seed)),
        ("Finished", "yes" if run.finished else "no: resume it with the same command"),
    )
    warned = tuple(f"Warning: {warning}" for warning in run.warnings)
    return Section(title="Method", anchor="method", paragraphs=(*HOW, *warned), tables=(Table(("What", "How"), rows),))


def _implausible(findings: Findings) -> str:
    """Beyond which factor a rate is not believed, and why it is what it is."""
    ceilings = findings.run.ceilings
    if not ceilings:
        return "nothing can be called so: no ceilings were measured"
    factor = f"a rate beyond {ceilings[-1].tolerated:.3g} times the measured ceiling"
    if not ceilings[-1].warnings:
        return factor
    return f"{factor}: twice what it is on a quiet machine, for other processes disturbed the ceilings"


def _sizes(findings: Findings) -> tuple[tuple[str, str], ...]:
    lengths = sorted({finding.length for finding in findings.points})
    shapes = dict.fromkeys(panel.setting.shape for panel in findings.panels)
    dtypes = dict.fromkeys(str(panel.setting.dtype) for panel in findings.panels)
    return (
        ("Lengths", ", ".join(format_length(length) for length in lengths) or UNKNOWN),
        ("Shape", "; ".join(shapes) or UNKNOWN),
        ("dtype", ", ".join(dtypes) or UNKNOWN),
    )


def _protocol(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Clock, cache, allocator and threads as they were, which on a CPU is not all that was asked for."""
    asked = findings.run.scenario.protocol
    fallback: dict[str, FactValue] = {"cache": asked.cache, "allocator": asked.allocator, "threads": asked.threads}
    clock = _held(findings, "clock")
    filled = (("Inputs", "a layer's x is all ones, its weights are random"),) if asked.inputs == "ones" else ()
    return (
        *filled,
        *((("Clock", CLOCK_WORDS.get(clock, clock)),) if clock else ()),
        *((begun(name), _held(findings, name) or _fact(value)) for name, value in fallback.items()),
    )


def _held(findings: Findings, name: str) -> str:
    elsewhere = other_allocator_ids(findings.run.headers)
    own = (held for identity, held in findings.run.fingerprints.items() if identity not in elsewhere)
    facts = (held.protocol.get(name) for held in own)
    return ", ".join(dict.fromkeys(_fact(fact) for fact in facts if fact is not None))


def _rounds(findings: Findings) -> str:
    counts = sorted({len(finding.record.visits) for finding in findings.points if finding.record.visits})
    if not counts:
        return UNKNOWN
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} visits a point"


def _precisions(findings: Findings) -> list[str]:
    devices = dict.fromkeys(panel.setting.device for panel in findings.panels)
    return [f"{format_percent(findings.run.scenario.precision_on(device))} on {device}" for device in devices]


def fingerprint(findings: Findings) -> Section:
    """Machine, software and protocol the numbers belong to, and the ceilings measured there."""
    tables = tuple(
        Table(
            ("Part", "Fact", "Value"),
            tuple(
                (part, name, _fact(value))
                for part, facts in (("machine", held.machine), ("software", held.software), ("protocol", held.protocol))
                for name, value in sorted(facts.items())
            ),
            caption=f"Fingerprint {identity}",
        )
        for identity, held in findings.run.fingerprints.items()
    )
    starts = [header.started_at for header in findings.run.headers]
    said = (
        (f"{len(starts)} session{'s' * (len(starts) != 1)}, the first begun {_date(min(starts))}.",) if starts else ()
    )
    return Section(title="Fingerprint", anchor="fingerprint", paragraphs=said, tables=(*tables, *_ceilings(findings)))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _fact(value: FactValue) -> str:
    if value is None:
        return UNKNOWN
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _ceilings(findings: Findings) -> tuple[Table, ...]:
    rows = tuple(
        row
        for line in findings.run.ceilings
        for row in (
            *(
                ("copy", format_bytes(size), format_rate(rate, "B"))
                for size, rate in sorted(line.copy_bytes_per_s.items())
            ),
            *(
                ("matrix multiplication", kind, format_rate(rate, "FLOP"))
                for kind, rate in line.gemm_flops_per_s.items()
            ),
            *(
                ("real FFT", f"{size} points", format_rate(rate, "FLOP"))
                for size, rate in sorted(line.fft_flops_per_s.items())
            ),
            *((("empty launch", UNKNOWN, format_latency(line.launch_s)),) if line.launch_s is not None else ()),
        )
    )
    return (
        (Table(("Ceiling", "At", "Measured"), rows, caption="What the machine was measured to do at best"),)
        if rows
        else ()
    )


def reproduce(findings: Findings) -> Section:
    """The command and the scenario, complete in itself."""
    versions = ", ".join(dict.fromkeys(header.hyenaprof for header in findings.run.headers)) or UNKNOWN
    commands = tuple(
        dict.fromkeys(shlex.join(("hyenaprof", *(header.command or SWEEP))) for header in findings.run.headers)
    )
    how = (
        f"With hyenaprof {versions}: save the scenario below as scenario.yaml, then run the first command. The last "
        "renders this report again from the journal alone."
    )
    if findings.run.merged:
        how = (
            f"Merged from several runs of hyenaprof {versions} by `hyenaprof merge`. Each was asked for by its own page, "
            "which stands in the journal's header lines; the page below names all that they measured."
        )
    return Section(
        title="How to reproduce",
        anchor="reproduce",
        paragraphs=(how,),
        listings=(
            "\n".join((*(commands or (shlex.join(("hyenaprof", *SWEEP)),)), "hyenaprof report FOLDER")),
            findings.run.scenario.to_yaml(),
        ),
    )
