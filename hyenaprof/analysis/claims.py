"""Published claims: what they say, under which stated conditions, and how they are read from YAML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from hyenaprof.errors import ScenarioError
from hyenaprof.model import Curve, DType, OnDisk, OptionValue, Phase, Scope
from hyenaprof.units import format_ratio


class Conditions(OnDisk):
    """What the source states of its measurement; a condition it does not state is None and blocks nothing."""

    scope: Scope | None = None
    phase: Phase | None = None
    batch: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1)
    heads: int | None = Field(default=None, ge=1)
    dtype: DType | None = None
    device: str | None = None
    """A kind: `cuda`, `cpu`."""
    device_name: str | None = None
    """Part of the device's name, such as `RTX PRO 6000`."""
    options: dict[str, OptionValue] = Field(default_factory=dict)
    """Operator options by `operator.option`."""


class _Pair(OnDisk):
    challenger: str
    incumbent: str


class AtLength(_Pair):
    """Challenger so many times better than the incumbent at a length: reached where the measured ratio is no less."""

    length: int = Field(ge=1)
    value: float = Field(gt=0)
    tolerance: float = Field(default=0.1, ge=0, lt=1)

    @property
    def published(self) -> str:
        """`2x at 8192`."""
        return f"{format_ratio(self.value)} at {self.length}"


class Ratio(AtLength):
    """Incumbent's time over the challenger's."""

    kind: Literal["ratio"]


class Memory(AtLength):
    """Incumbent's peak memory over the challenger's."""

    kind: Literal["memory"]


class Flops(AtLength):
    """Incumbent's analytic FLOPs over the challenger's."""

    kind: Literal["flops"]


class CrossoverIn(_Pair):
    """Challenger overtakes between two lengths, widened by the tolerance at either end."""

    kind: Literal["crossover"]
    low: int = Field(ge=1)
    high: int = Field(ge=1)
    tolerance: float = Field(default=0.0, ge=0, lt=1)

    @property
    def published(self) -> str:
        """`2048` or `4096 to 8196`."""
        return str(self.low) if self.low == self.high else f"{self.low} to {self.high}"


class Growth(OnDisk):
    """Time of an operator grows with a power of L."""

    kind: Literal["growth"]
    operator: str
    exponent: float
    tolerance: float = Field(default=0.15, ge=0)

    @property
    def published(self) -> str:
        """`L^2`."""
        return f"L^{self.exponent:g}"


class Parameters(OnDisk):
    """Learned parameters of an operator grow with less than a power of L."""

    kind: Literal["parameters"]
    operator: str
    below: float

    @property
    def published(self) -> str:
        """`slower than L^1`."""
        return f"slower than L^{self.below:g}"


Check = Annotated[Ratio | Memory | Flops | CrossoverIn | Growth | Parameters, Field(discriminator="kind")]


class Claim(OnDisk):
    """One checkable statement."""

    id: str
    statement: str
    where: str
    """Place in the source."""
    conditions: Conditions = Conditions()
    check: Check


class ClaimsFile(OnDisk):
    """All claims of one source."""

    name: str
    source: str
    scenario: str | None = None
    """Bare name of the scenario that measures what the source measured, as nearly as it says."""
    claims: tuple[Claim, ...] = Field(min_length=1)


class Verdict(StrEnum):
    """What came of a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """One claim against one setting of the records.

    Attributes:
        file: The source.
        claim: The claim.
        verdict: What came of it, for this setting and no other.
        published: The source's value.
        measured: Our value with its interval, None where there is none.
        reason: Why the verdict is what it is.
        setting: What was measured, in words such as `layer`, `training`, `batch 1`; empty where the records do not say.
        curve: Of the challenger or the one operator; None where no curve can answer.
    """

    file: ClaimsFile
    claim: Claim
    verdict: Verdict
    published: str
    measured: str | None
    reason: str
    setting: tuple[str, ...]
    curve: Curve | None = None


def shared_setting(results: Iterable[ClaimResult]) -> tuple[str, ...]:
    """Words that the settings of all results with a measured value share; what is left tells them apart."""
    settings = [result.setting for result in results if result.measured is not None]
    return tuple(word for word in settings[0] if all(word in setting for setting in settings)) if settings else ()


def load_claims(path: Path) -> ClaimsFile:
    """Reads one source's claims.

    Raises:
        ScenarioError: No such file, or one that does not hold claims, with the key at fault.
    """
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScenarioError(f"no claims {path.name}", hint="`hyenaprof list` names those that are shipped") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path.name} is no YAML: {str(error).splitlines()[0]}") from None
    try:
        return ClaimsFile.model_validate(held)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ScenarioError(f"{path.name}: {key}: {first['msg']}") from None
