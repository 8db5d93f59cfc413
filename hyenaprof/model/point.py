"""What is measured: a Point, the key of every measurement, and what describes it on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

OptionValue = bool | int | float | str


def _pairs(value: Any) -> Any:  # noqa: ANN401 -- pydantic hands over whatever was in the file
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


Options = Annotated[tuple[tuple[str, OptionValue], ...], BeforeValidator(_pairs), PlainSerializer(dict)]
"""Options of an operator: sorted pairs in memory so that a Point can be hashed, an object on disk."""


class OnDisk(BaseModel):
    """Base of all that is written: frozen, no unknown keys, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="null")

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:  # noqa: PYI058 -- as pydantic declares it
        """Fields and their values, and not a cached id: `{**dict(point), "seed": 1}` makes another point."""
        return ((name, getattr(self, name)) for name in type(self).model_fields)


class Scope(StrEnum):
    """What is inside the timed region."""

    CORE = "core"
    LAYER = "layer"
    BLOCK = "block"


class Phase(StrEnum):
    """Which part of an iteration is read; backward and training are two readings of the same iterations."""

    FORWARD = "forward"
    BACKWARD = "backward"
    TRAINING = "training"
    DECODE = "decode"

    @property
    def has_gradients(self) -> bool:
        """Whether the iteration behind this phase runs the backward pass."""
        return self in (Phase.BACKWARD, Phase.TRAINING)


class DType(StrEnum):
    """Element type of inputs, weights and outputs."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @property
    def itemsize_bytes(self) -> int:
        """Bytes per element."""
        return {DType.FLOAT64: 8, DType.FLOAT32: 4}.get(self, 2)


class Outcome(StrEnum):
    """What came of a point; every attempt ends in exactly one."""

    OK = "ok"
    OOM = "oom"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    INCORRECT = "incorrect"
    UNSUPPORTED = "unsupported"
    OVER_BUDGET = "over_budget"
    IMPLAUSIBLE = "implausible"


class Shape(OnDisk):
    """Sizes of one problem: B, L, D and H of the dimension key in `operators/base.py`."""

    batch: int = Field(ge=1)
    length: int = Field(ge=1, le=1024**2)
    width: int = Field(ge=1)
    heads: int = Field(ge=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide width {self.width}")
        return self

    @property
    def head_dimension(self) -> int:
        """Channels per head, K = D / H."""
        return self.width // self.heads

    def at(self, length: int) -> Shape:
        """The same problem at another length in tokens."""
        return Shape.model_validate({**dict(self), "length": length})


@dataclass(frozen=True, slots=True, order=True)
class Curve:
    """A point without its length: one line in a figure, one side of a crossover."""

    operator: str
    implementation: str
    scope: Scope
    phase: Phase
    batch: int
    width: int
    heads: int
    dtype: DType
    device: str
    options: tuple[tuple[str, OptionValue], ...]

    @property
    def label(self) -> str:
        """`hyena:fft`, with the options that were set: `hyena:fft[order=3]`."""
        return label_of(self.operator, self.implementation, self.options)

    @property
    def setting(self) -> tuple[Scope, Phase, int, int, int, DType, str]:
        """What two curves must share to be compared."""
        return (self.scope, self.phase, self.batch, self.width, self.heads, self.dtype, self.device)


def label_of(operator: str, implementation: str, options: tuple[tuple[str, OptionValue], ...]) -> str:
    """Names an operator as it is shown: `hyena:fft[order=3]`."""
    shown = ",".join(f"{name}={value}" for name, value in options)
    return f"{operator}:{implementation}" + (f"[{shown}]" if shown else "")


class Point(OnDisk):
    """The key of every measurement: change one field and it is another point.

    `device` is a kind (`cuda`, `cpu`, `fake`); `options` holds only those that differ from the operator's defaults.
    """

    operator: str
    implementation: str
    scope: Scope
    phase: Phase
    shape: Shape
    dtype: DType
    device: str
    seed: int = 0
    options: Options = ()

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits, equal for equal points on every machine.

        No cached_property: that adds a key to the model's `__dict__`, and pydantic then writes a model inside a union
        loosely, True as 1.
        """
        return stable_hash(self.model_dump(mode="json"))

    @property
    def label(self) -> str:
        """`hyena:fft`, with options."""
        return label_of(self.operator, self.implementation, self.options)

    @property
    def curve(self) -> Curve:
        """The point without its length and seed."""
        shape = self.shape
        return Curve(
            operator=self.operator,
            implementation=self.implementation,
            scope=self.scope,
            phase=self.phase,
            batch=shape.batch,
            width=shape.width,
            heads=shape.heads,
            dtype=self.dtype,
            device=self.device,
            options=self.options,
        )

    def at(self, length: int) -> Point:
        """The same point at another length in tokens."""
        return Point.model_validate({**dict(self), "shape": self.shape.at(length)})

    def reading(self, phase: Phase) -> Point:
        """The same point read in another phase."""
        return Point.model_validate({**dict(self), "phase": phase})

    def __str__(self) -> str:
        """`hyena:fft training L=8192`."""
        return f"{self.label} {self.phase} L={self.shape.length}"


def stable_hash(value: Any, digits: int = 12) -> str:  # noqa: ANN401 -- any JSON value
    """Hashes a JSON value over its canonical text (sorted keys): the same on every machine and Python."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


FactValue = str | int | float | bool | None | tuple[str, ...]


class Fingerprint(OnDisk):
    """What a number belongs to, in three parts of stable fields; no host, user, path or serial number."""

    machine: dict[str, FactValue]
    software: dict[str, FactValue]
    protocol: dict[str, FactValue]

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits over the three parts."""
        return stable_hash(self.model_dump(mode="json"))

    @property
    def conditions(self) -> str:
        """Twelve hexadecimal digits over machine and protocol: what two sides must share to be compared."""
        return stable_hash(self.model_dump(mode="json", exclude={"software"}))


class Cost(OnDisk):
    """Analytic work of one call, by the operator's own formula; kept in the journal so that it stays readable."""

    flops: float = Field(ge=0)
    """Algorithmic FLOPs, multiply and add counted as two."""
    bytes: float = Field(ge=0)
    """Least bytes moved to and from memory by a fully fused implementation."""
    flops_paper: float | None = None
    """The operator's paper's own formula, where it has one."""
    parameters: int = Field(default=0, ge=0)
    """Learned parameters of the layer (0 in core scope)."""
    need_bytes: float = Field(ge=0)
    """Estimated peak memory of this implementation, inputs and weights included: decides `oom (inferred)`."""
    source: str
    """Where the formula stands."""
