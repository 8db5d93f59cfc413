"""What a report reads: a run with its summaries and crossovers, worked out once for all sections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hyenaprof.analysis import crossover as crossovers
from hyenaprof.analysis import stats
from hyenaprof.analysis.metrics import energy_j_of
from hyenaprof.model import Comparison, Crossover, Curve, DType, Outcome, Phase, Record, Scope, Summary
from hyenaprof.records.store import Run
from hyenaprof.report.words import device_name

Metric = Literal["latency", "peak_memory", "energy"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A point with its summary; no summary where it was not measured."""

    record: Record
    summary: Summary | None

    @property
    def length(self) -> int:
        """Tokens."""
        return self.record.point.shape.length

    @property
    def predicted_s(self) -> float | None:
        """Seconds from the cost model, only where nothing was measured."""
        return self.record.predicted_s if self.summary is None else None


@dataclass(frozen=True, slots=True)
class Setting:
    """What curves share to be drawn together."""

    scope: Scope
    phase: Phase
    batch: int
    width: int
    heads: int
    dtype: DType
    device: str
    conditions: str | None = None
    """Machine and protocol, which a merged run may have several of."""

    @property
    def place(self) -> tuple[Scope, int, int, int, DType, str, str | None]:
        """The setting without its phase."""
        return (self.scope, self.batch, self.width, self.heads, self.dtype, self.device, self.conditions)

    @property
    def shape(self) -> str:
        """`B=1 D=768 H=12`."""
        return f"B={self.batch} D={self.width} H={self.heads}"


@dataclass(frozen=True, slots=True)
class Panel:
    """All findings of one setting, with the crossovers between its curves."""

    setting: Setting
    number: int
    """Place in the report, from 1."""
    findings: tuple[Finding, ...]
    latency: tuple[Crossover, ...]
    memory: tuple[Crossover, ...]
    energy: tuple[Crossover, ...]
    """Empty where no energy was measured."""
    operators: tuple[str, ...]
    """The scenario's, in its order."""

    def crossovers(self, metric: Metric) -> tuple[Crossover, ...]:
        """Those in one metric."""
        return {"latency": self.latency, "peak_memory": self.memory, "energy": self.energy}[metric]

    def curves(self) -> Iterator[tuple[Curve, tuple[Finding, ...]]]:
        """Each curve with its findings by length, operators in the scenario's order."""
        grouped: dict[Curve, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            grouped[finding.record.point.curve].append(finding)
        places = {name: place for place, name in enumerate(self.operators)}
        for curve in sorted(grouped, key=lambda curve: (places.get(curve.operator, len(places)), curve)):
            yield curve, tuple(sorted(grouped[curve], key=lambda finding: finding.length))

    @property
    def lengths(self) -> tuple[int, ...]:
        """All lengths in tokens, ascending."""
        return tuple(sorted({finding.length for finding in self.findings}))

    def comparison(self, crossover: Crossover, length: int) -> Comparison | None:
        """A pair's ratio at a length."""
        return next((c for c in crossover.comparisons if c.length == length), None)


@dataclass(frozen=True, slots=True)
class Findings:
    """A run, read: what every section and the terminal's summary are made from."""

    run: Run
    points: tuple[Finding, ...]
    panels: tuple[Panel, ...]
    names: dict[str, str]
    """Shortest unambiguous name of each curve's label."""
    prints: tuple[str, ...] = ()
    """File suffixes in which figures are made besides SVG."""

    def crossovers(self, metric: Metric = "latency") -> tuple[tuple[Panel, Crossover], ...]:
        """Every crossover with its panel: the pair of the scenario's first operators in all phases, then the next pair."""
        places = {name: place for place, name in enumerate(self.run.scenario.operators)}

        def rank(found: tuple[Panel, Crossover]) -> tuple[object, ...]:
            panel, crossover = found
            sides = [places.get(c.operator, len(places)) for c in (crossover.challenger, crossover.incumbent)]
            return (sorted(sides), crossover.challenger.label, crossover.incumbent.label, panel.number)

        held = ((panel, x) for panel in self.panels for x in panel.crossovers(metric))
        return tuple(sorted(held, key=rank))

    @property
    def has_energy(self) -> bool:
        """Whether any point's energy was measured."""
        return any(energy_j_of(finding.record) is not None for finding in self.points)

    @property
    def places(self) -> tuple[tuple[Panel, ...], ...]:
        """Panels that differ in nothing but their phase, together."""
        grouped: dict[object, list[Panel]] = defaultdict(list)
        for panel in self.panels:
            grouped[panel.setting.place].append(panel)
        return tuple(tuple(group) for group in grouped.values())

    def device(self, kind: str) -> str:
        """Name of the device of a kind, from the fingerprint."""
        return device_name(self.run.fingerprints.values(), kind)

    def place_words(self, setting: Setting, *, phase: bool = False) -> str:
        """`layer scope, float32, B=1 D=768 H=12, on Example CPU`."""
        first = f"{setting.phase} of the {setting.scope}" if phase else f"{setting.scope} scope"
        return f"{first}, {setting.dtype}, {setting.shape}, on {self.machine(setting)}"

    @property
    def of_several_machines(self) -> bool:
        """Whether the run was merged from several machines, or several protocols."""
        return len({panel.setting.conditions for panel in self.panels}) > 1

    def machine(self, setting: Setting) -> str:
        """Name of the setting's device; with its fingerprint where the run holds another of that name."""
        fingerprints = self.run.fingerprints
        if not self.of_several_machines:
            return self.device(setting.device)
        own = {name: held for name, held in fingerprints.items() if held.conditions == setting.conditions}
        name = device_name(own.values(), setting.device)
        others = [held for held in fingerprints.values() if held.conditions != setting.conditions]
        alike = name == setting.device or name in {device_name([held], setting.device) for held in others}
        return f"{name} (fingerprint {', '.join(own)})" if alike else name


def find(run: Run, *, prints: tuple[str, ...] = ()) -> Findings:
    """Works out a run's summaries and crossovers from its samples.

    Args:
        run: Any run.
        prints: File suffixes in which figures are wanted besides SVG.
    """
    points = tuple(Finding(record, _summary(run, record)) for record in run.records)
    return Findings(
        run=run,
        points=points,
        panels=_panels(points, tuple(run.scenario.operators)),
        names=crossovers.shared_names(finding.record.point.curve for finding in points),
        prints=prints,
    )


def setting_of(finding: Finding) -> Setting:
    """What a point shares with those that it is drawn with."""
    return Setting(*finding.record.point.curve.setting, finding.record.conditions)


def _summary(run: Run, record: Record) -> Summary | None:
    if record.outcome is not Outcome.OK or not any(visit.clean_s for visit in record.visits):
        return None
    return stats.summarise(record.visits, precision=run.scenario.precision_on(record.point.device))


def _panels(points: tuple[Finding, ...], operators: tuple[str, ...]) -> tuple[Panel, ...]:
    grouped: dict[Setting, list[Finding]] = defaultdict(list)
    for finding in points:
        grouped[setting_of(finding)].append(finding)
    return tuple(
        _panel(setting, number, held, operators) for number, (setting, held) in enumerate(grouped.items(), start=1)
    )


def _panel(setting: Setting, number: int, held: list[Finding], operators: tuple[str, ...]) -> Panel:
    records = [finding.record for finding in held]
    return Panel(
        setting=setting,
        number=number,
        findings=tuple(held),
        latency=tuple(crossovers.find_all(records)),
        memory=tuple(crossovers.find_all(records, metric="peak_memory")),
        energy=tuple(crossovers.find_all(records, metric="energy")) if any(map(energy_j_of, records)) else (),
        operators=operators,
    )
