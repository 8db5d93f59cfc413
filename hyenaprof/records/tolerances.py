"""What a gate lets pass: tolerances by glob, and changes that were expected, each until a date; both from YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from hyenaprof.errors import ScenarioError, ToleranceError, did_you_mean
from hyenaprof.model import OnDisk, Point
from hyenaprof.units import parse_fraction

Metric = Literal["latency", "peak_memory", "energy", "outcome"]
"""What a gate judges of a point; `outcome` where it did not run."""

TOLERANCE = {"cuda": 0.03}
TOLERANCE_ELSEWHERE = 0.05
"""Relative slowdown that is let pass: by the kind of device, and on any other."""
FLOORS_S = {"cuda": 2e-6, "cpu": 20e-6}
FLOOR_ELSEWHERE_S = 2e-6
"""Seconds that are let pass however short the call. Two ticks of either clock (0.5 us for CUDA's events, 1 ns for a
process's CPU time) are below it."""
MEMORY_TOLERANCE = 0.01
MEMORY_FLOOR_BYTES = 1024**2
"""Peaks are regressed only past both. They are the allocators' own counts, on a CPU too, and no resident set size."""
CROSSOVER_TOLERANCE = 0.1

_Fraction = Annotated[float, BeforeValidator(parse_fraction)]


class Allowance(OnDisk):
    """Fractions let pass of one glob's points; None leaves what went before."""

    time: _Fraction | None = None
    memory: _Fraction | None = None
    energy: _Fraction | None = None
    crossover: _Fraction | None = None


@dataclass(frozen=True, slots=True)
class Tolerances:
    """What slower, larger or later still passes.

    Attributes:
        rules: A glob and what it allows, such as ("hyena:*/training", Allowance(time=0.03)); the last that matches and
            states a quantity decides it.
        tolerance: Relative slowdown that passes where no rule says otherwise; None: 3 % on a GPU, 5 % elsewhere.
    """

    rules: tuple[tuple[str, Allowance], ...] = ()
    tolerance: float | None = None

    def time(self, point: Point) -> float:
        """Relative slowdown of a point that passes."""
        default = TOLERANCE.get(point.device, TOLERANCE_ELSEWHERE) if self.tolerance is None else self.tolerance
        return self._ruled(point, "time", default)

    def energy(self, point: Point) -> float:
        """Relative growth of a call's joules that passes: the slowdown's, unless a rule says otherwise."""
        return self._ruled(point, "energy", self.time(point))

    def memory(self, point: Point) -> float:
        """Relative growth of peak memory that passes; below MEMORY_FLOOR_BYTES any does."""
        return self._ruled(point, "memory", MEMORY_TOLERANCE)

    def crossover(self, point: Point) -> float:
        """Relative shift of a crossover's length that passes, by a point of the challenger."""
        return self._ruled(point, "crossover", CROSSOVER_TOLERANCE)

    def _ruled(self, point: Point, quantity: str, default: float) -> float:
        stated = [
            value
            for glob, allowance in self.rules
            if matches(glob, point) and (value := getattr(allowance, quantity)) is not None
        ]
        return stated[-1] if stated else default


def floor_s(device: str) -> float:
    """Seconds that any call may become slower by, on a kind of device."""
    return FLOORS_S.get(device, FLOOR_ELSEWHERE_S)


def matches(glob: str, point: Point) -> bool:
    """Whether a glob names a point: `OPERATOR:IMPLEMENTATION[OPTIONS]/PHASE/LENGTH`, of which the end may be left out.

    `*` is any run of characters without a slash; everything else, brackets too, is meant as it stands.
    """
    wanted = glob.split("/")
    found = (point.label, str(point.phase), str(point.shape.length))
    return len(wanted) <= len(found) and all(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text)
        for pattern, text in zip(wanted, found, strict=False)
    )


class Expected(OnDisk):
    """A change that was made on purpose: it is shown and does not turn the gate red, until it expires."""

    points: str = Field(min_length=1)
    """A glob, as in a file of tolerances."""
    metric: Literal["time", "memory", "energy", "outcome", "crossover"] = "time"
    """What of them; a crossover by its challenger's points, whose expected time covers their crossovers too."""
    up_to: _Fraction | None = None
    """Growth that is expected; past it the point is regressed all the same. None: any."""
    reason: str = Field(min_length=1)
    expires: date

    def covers(self, point: Point, metric: Metric, ratio: float | None) -> bool:
        """Whether this is the change that a verdict found.

        Args:
            point: What changed.
            metric: In what.
            ratio: Candidate over base; None where there is no number.
        """
        named = {"time": "latency", "memory": "peak_memory"}.get(self.metric, self.metric)
        within = self.up_to is None or (ratio is not None and ratio <= 1 + self.up_to)
        return named == metric and within and matches(self.points, point)

    def covers_crossover(self, point: Point, ratio: float | None) -> bool:
        """Whether a crossover that comes later is this change.

        Args:
            point: Any of the challenger's.
            ratio: The new length over the old; None where a side has none.
        """
        whole = "/".join(self.points.split("/")[:2])  # a crossover belongs to no one length
        within = self.metric == "time" or self.up_to is None or (ratio is not None and ratio <= 1 + self.up_to)
        return self.metric in ("time", "crossover") and within and matches(whole, point)

    @property
    def excuse(self) -> str:
        """`exact filters (until 2027-01-31)`."""
        return f"{self.reason} (until {self.expires})"


def load_tolerances(path: Path, *, tolerance: float | None = None) -> Tolerances:
    """Reads a file of tolerances: a glob a key, its value `3%` (time) or a mapping of time, memory, energy, crossover.

    Raises:
        ToleranceError: Not there, not YAML, or something in it that is no tolerance; it is named.
    """
    raw = _read(path)
    if not isinstance(raw, dict):
        raise ToleranceError(f"{path.name} holds no mapping", hint=_TOLERANCE_HINT)
    return Tolerances(tuple((str(glob), _allowance(path, glob, value)) for glob, value in raw.items()), tolerance)


def load_expected(path: Path, *, today: date) -> tuple[Expected, ...]:
    """Reads a file of expected changes: a list of points, metric, up_to, reason and expires.

    Raises:
        ToleranceError: Not there, not YAML, an entry that is none, or one that has expired.
    """
    raw = _read(path)
    if not isinstance(raw, list):
        raise ToleranceError(f"{path.name} holds no list", hint=_EXPECTED_HINT)
    entries = tuple(_expected(path, number, value) for number, value in enumerate(raw, 1))
    for number, entry in enumerate(entries, 1):
        if entry.expires < today:
            raise ToleranceError(
                f"{path.name} entry {number} ({entry.points}: {entry.reason}) expired on {entry.expires}",
                hint="take the entry out, or give it a later date if the change is still expected",
            )
    return entries


_TOLERANCE_HINT = "write lines such as `hyena:*/training: 3%`"
_EXPECTED_HINT = "write `- {points: 'hyena:fft/*', up_to: 10%, reason: why, expires: 2027-01-31}`"


def _read(path: Path) -> Any:  # noqa: ANN401 -- whatever the YAML holds
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ToleranceError(f"cannot read {path.name}: {type(error).__name__}", hint="check the path") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that is none; nesting without end
        raise ToleranceError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None


def _allowance(path: Path, glob: object, value: object) -> Allowance:
    raw = value if isinstance(value, Mapping) else {"time": value}
    unknown = next((key for key in raw if key not in Allowance.model_fields), None)
    if unknown is not None:
        raise ToleranceError(
            f"{path.name}: {glob}: no quantity {unknown!r}", hint=did_you_mean(str(unknown), Allowance.model_fields)
        )
    try:
        return Allowance.model_validate(raw)
    except (ValidationError, ScenarioError) as error:
        raise ToleranceError(f"{path.name}: {glob}: {_first(error)}", hint=_TOLERANCE_HINT) from None


def _expected(path: Path, number: int, value: object) -> Expected:
    try:
        return Expected.model_validate(value)
    except (ValidationError, ScenarioError) as error:
        raise ToleranceError(f"{path.name} entry {number}: {_first(error)}", hint=_EXPECTED_HINT) from None


def _first(error: ValidationError | ScenarioError) -> str:
    if isinstance(error, ScenarioError):
        return error.message
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
