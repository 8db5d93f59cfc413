"""Published claims: what they say, under which stated conditions, and how they are read from YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from hyenaprof.errors import ScenarioError, did_you_mean
from hyenaprof.model import Curve, DType, OnDisk, OptionValue, Phase, Scope
from hyenaprof.units import format_ratio

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


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
        unchecked: Conditions that the source states and the records do not, such as `batch 64`.
    """

    file: ClaimsFile
    claim: Claim
    verdict: Verdict
    published: str
    measured: str | None
    reason: str
    setting: tuple[str, ...]
    curve: Curve | None = None
    unchecked: tuple[str, ...] = ()


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
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # a date that is none; nesting without end
        said = str(error).splitlines()[0]
        raise ScenarioError(f"{path.name} is no YAML: {said}", hint="compare it with a shipped source") from None
    if not isinstance(held, dict):
        raise ScenarioError(f"{path.name} holds no mapping", hint="a source has the keys name, source and claims")
    try:
        return ClaimsFile.model_validate(held)
    except ValidationError as error:
        raise _refusal(path.name, held, error) from None


_KINDS: dict[str, type[OnDisk]] = {
    "ratio": Ratio,
    "memory": Memory,
    "flops": Flops,
    "crossover": CrossoverIn,
    "growth": Growth,
    "parameters": Parameters,
}
_WORDS: dict[str, Iterable[str]] = {"scope": Scope, "phase": Phase, "dtype": DType}
_SAID = {
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "string_type": "is not a text",
    "tuple_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "greater_than_equal": "is below {ge:g}",
    "greater_than": "is not above {gt:g}",
    "less_than": "is not below {lt:g}",
}
"""What is wrong with a value, by pydantic's name for it."""


def _refusal(source: str, held: Mapping[str, object], error: ValidationError) -> ScenarioError:
    """The first thing wrong with a source, in words for somebody who has never heard of pydantic."""
    first = error.errors(include_url=False)[0]
    place, path = _place(source, held, first["loc"])
    key = ".".join(path)
    given = first["input"]
    match first["type"]:
        case "missing":
            return ScenarioError(f"{place} has no key {key}", hint=f"write {path[-1]}: ...")
        case "union_tag_not_found":
            return ScenarioError(f"{place} has no key {key}.kind", hint=f"kinds: {', '.join(_KINDS)}")
        case "union_tag_invalid":
            kind = str(given.get("kind")) if isinstance(given, Mapping) else str(given)
            return ScenarioError(f"{place}: {key}.kind {kind!r} is not known", hint=did_you_mean(kind, _KINDS))
        case "extra_forbidden":
            return ScenarioError(f"{place} has an unknown key {key}", hint=did_you_mean(path[-1], _keys(first)))
        case "too_short":
            return ScenarioError(f"{place}: {key} is empty", hint="a claim has the keys id, statement, where and check")
    return _value_refusal(f"{place}: {key}", first, path[-1])


def _value_refusal(place: str, first: ErrorDetails, key: str) -> ScenarioError:
    """What is wrong with a value where its key stands rightly."""
    given = first["input"]
    if first["type"] == "enum":
        known = (str(word) for word in _WORDS[key])
        return ScenarioError(f"{place} {given!r} is not known", hint=did_you_mean(str(given), known))
    said = _SAID.get(first["type"], "cannot be used").format(**first.get("ctx", {}))
    shown = f" {given!r}" if isinstance(given, str | int | float) or given is None else ""
    return ScenarioError(f"{place}{shown} {said}", hint="compare it with a shipped source")


def _place(source: str, held: Mapping[str, object], loc: Sequence[int | str]) -> tuple[str, list[str]]:
    """Names the file and the claim at fault, and the path of keys inside it; the kind of a check is no key."""
    path = [str(part) for part in loc]
    if len(loc) < 2 or loc[0] != "claims" or not isinstance(loc[1], int):
        return source, path
    claims = held["claims"]
    claim = claims[loc[1]] if isinstance(claims, Sequence) else None
    named = repr(claim["id"]) if isinstance(claim, Mapping) and "id" in claim else str(loc[1] + 1)
    inner = path[2:]
    if inner[:1] == ["check"] and len(inner) > 1 and inner[1] in _KINDS:
        del inner[1]
    if inner[:2] == ["conditions", "options"]:
        inner = inner[:3]  # pydantic adds each type that an option may have
    return f"{source}: claim {named}", inner or ["it"]


def _keys(first: ErrorDetails) -> Iterable[str]:
    """The keys that stand where an unknown one does."""
    loc = first["loc"]
    kind = next((part for part in loc if part in _KINDS), None)
    if "check" in loc[:-1] and isinstance(kind, str):
        return _KINDS[kind].model_fields
    if "conditions" in loc[:-1]:
        return Conditions.model_fields
    return Claim.model_fields if len(loc) > 1 else ClaimsFile.model_fields
