"""What is to be measured: one frozen page, built alike from YAML and from flags."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from hyenaprof.devices import DEVICES
from hyenaprof.errors import ScenarioError, did_you_mean
from hyenaprof.model import DType, OnDisk, Options, OptionValue, Phase, Scope, stable_hash
from hyenaprof.operators import OperatorEntry
from hyenaprof.records.grid import length_grid
from hyenaprof.records.outside import entry_named
from hyenaprof.units import parse_duration, parse_fraction, parse_length

Raw = dict[str, Any]  # a YAML mapping before it is validated

SHORTEST = 64
PHASES = (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)
"""Those that operators have; decode, which a journal may name, is none of them yet."""
CHANNELS_PER_HEAD = 64
PRECISION = {"cpu": 0.05}
PRECISION_ELSEWHERE = 0.01
"""Wall clocks of shared processors are noisier than the clocks of a GPU."""


def _listed(value: Any) -> Any:  # noqa: ANN401 -- whatever the YAML held
    if value is None:
        return None
    values = value if isinstance(value, list | tuple) else (value,)
    return [
        item for place, item in enumerate(values) if item not in values[:place]
    ]  # what stands twice is measured once


class OperatorChoice(OnDisk):
    """Which implementations of an operator, none meaning the fastest that verifies, and the options that are set."""

    implementations: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    options: Options = ()

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:  # noqa: ANN401 -- whatever the YAML held
        if value is None:
            return {}
        if not isinstance(value, Mapping) or "options" in value:
            return value
        for key, item in value.items():
            scalar = isinstance(item, int | str) or (isinstance(item, float) and math.isfinite(item))
            if not isinstance(key, str) or not (scalar or key == "implementations"):
                raise ScenarioError(f"option {key!r} is set to {item!r}", hint="write an option as order: 3")
        known = {"implementations"}
        return {
            "options": {key: item for key, item in value.items() if key not in known},
            **{key: item for key, item in value.items() if key in known},
        }

    @model_serializer
    def _flatten(self) -> Raw:
        return {"implementations": list(self.implementations), **dict(self.options)}


class Protocol(OnDisk):
    """How the measurement is made; part of the fingerprint, so that unlike protocols are never compared."""

    cache: Literal["cold", "hot"] = "cold"
    allocator: Literal["warm", "default"] = "warm"
    threads: int | None = Field(default=None, ge=1)
    cuda_graph: bool = False
    inputs: Literal["random", "ones"] = "random"
    """What a layer is timed on; it is always verified on random inputs."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> Raw:
        """Without `inputs` where they are random, as pages were written before there was a choice."""
        raw: Raw = handler(self)
        return {name: value for name, value in raw.items() if (name, value) != ("inputs", "random")}


class Scenario(OnDisk):
    """One question: operators, sizes and conditions. Lists multiply: each combination is a curve of its own."""

    name: str = Field(default="sweep", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    purpose: str = ""
    operators: dict[str, OperatorChoice] = Field(min_length=1)
    scope: Scope = Scope.LAYER
    phases: Annotated[tuple[Phase, ...], BeforeValidator(_listed), Field(min_length=1)] = PHASES
    lengths: tuple[int, ...] = Field(min_length=1)
    extend_below: bool = False
    """Whether lengths are halved down to 64 while the incumbent does not clearly lead at the shortest."""
    batch: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_listed), Field(min_length=1)] = (1,)
    width: Annotated[tuple[int, ...], BeforeValidator(_listed), Field(min_length=1)] = (768,)
    heads: Annotated[tuple[int, ...] | None, BeforeValidator(_listed)] = None
    dtype: Annotated[tuple[DType | Literal["auto"], ...], BeforeValidator(_listed), Field(min_length=1)] = ("auto",)
    device: str = "auto"
    budget: Annotated[float, BeforeValidator(parse_duration)] = 600.0
    """Seconds in all."""
    precision: Annotated[float | None, BeforeValidator(lambda v: None if v is None else parse_fraction(v))] = None
    """Half-width of a median's interval to stop at; None: 1 % on a GPU, 5 % on a CPU."""
    rounds: int | None = Field(default=None, ge=1, le=1000)
    """Exactly so many rounds, instead of as many as the precision needs."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    protocol: Protocol = Protocol()

    @model_validator(mode="before")
    @classmethod
    def _grid(cls, value: Any) -> Any:  # noqa: ANN401 -- whatever the YAML held
        if not isinstance(value, Mapping):
            return value
        lengths = value.get("lengths", {})
        if lengths is None:
            raise ScenarioError("lengths: nothing is given", hint=HINTS["lengths"])
        if isinstance(lengths, Mapping):
            return {"extend_below": "from" not in lengths, **value, "lengths": length_grid(lengths)}
        return {**value, "lengths": tuple(sorted({parse_length(length) for length in _listed(lengths)}))}

    @field_validator("operators")
    @classmethod
    def _settle(cls, operators: dict[str, OperatorChoice], info: ValidationInfo) -> dict[str, OperatorChoice]:
        if info.context is AS_WRITTEN:
            return operators
        return {name: _settled(name, entry_named(name), choice) for name, choice in operators.items()}

    @field_validator("phases")
    @classmethod
    def _timed(cls, phases: tuple[Phase, ...], info: ValidationInfo) -> tuple[Phase, ...]:
        missing = [phase for phase in phases if phase not in PHASES]
        if missing and info.context is not AS_WRITTEN:
            raise ScenarioError(
                f"phases: no operator has a phase {missing[0]} yet", hint=f"choose from {', '.join(PHASES)}"
            )
        return phases

    @model_validator(mode="after")
    def _known(self, info: ValidationInfo) -> Self:
        for width in self.width:
            _check_heads(width, self.heads)
        check_device(self.device)
        if self.protocol.inputs == "ones" and self.scope is not Scope.LAYER:
            raise ScenarioError(
                "a core is never timed on ones", hint="leave protocol.inputs out, or write scope: layer"
            )
        for name in () if info.context is AS_WRITTEN else self.operators:
            _check_scope(name, entry_named(name), self.scope)
        return self

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits over all that decides what is measured: not budget, precision or rounds."""
        return stable_hash(self.model_dump(mode="json", exclude={"budget", "precision", "rounds"}), digits=8)

    def precision_on(self, device: str) -> float:
        """Half-width of a median's interval to stop at, on a device of this kind."""
        return self.precision or PRECISION.get(device, PRECISION_ELSEWHERE)

    def heads_of(self, width: int) -> tuple[int, ...]:
        """Heads at this width: as given, else one per 64 channels."""
        return self.heads or (max(1, width // CHANNELS_PER_HEAD),)

    def to_yaml(self) -> str:
        """The whole page, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _settled(name: str, entry: OperatorEntry, choice: OperatorChoice) -> OperatorChoice:
    """The choice with only those options that differ from the defaults, so that equal questions have equal points."""
    for implementation in choice.implementations:
        if implementation not in entry.implementations:
            raise ScenarioError(
                f"operator {name!r} has no implementation {implementation!r}",
                hint=did_you_mean(implementation, entry.implementations),
            )
    typed = {option: _typed(name, entry, option, value) for option, value in choice.options}
    return OperatorChoice.model_validate(
        {
            "implementations": choice.implementations,
            "options": {option: value for option, value in typed.items() if value != entry.options[option]},
        }
    )


def _typed(name: str, entry: OperatorEntry, option: str, value: OptionValue) -> OptionValue:
    if option not in entry.options:
        raise ScenarioError(f"operator {name!r} has no option {option!r}", hint=did_you_mean(option, entry.options))
    default = entry.options[option]
    if type(default) is float and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise ScenarioError(
            f"{name}.{option}={value!r} is not of type {type(default).__name__}", hint=f"the default is {default!r}"
        )
    _check_value(name, entry, option, value)
    return value


def _check_value(name: str, entry: OperatorEntry, option: str, value: OptionValue) -> None:
    bounds, choices = entry.bounds.get(option), entry.choices.get(option)
    if choices is not None and value not in choices:
        raise ScenarioError(f"{name}.{option}={value!r} is not known", hint=did_you_mean(str(value), choices))
    if bounds is not None and not isinstance(value, str) and not bounds.holds(value):
        raise ScenarioError(
            f"{name}.{option}={value!r} is outside {bounds}", hint=f"the default is {entry.options[option]!r}"
        )


def _check_scope(name: str, entry: OperatorEntry, scope: Scope) -> None:
    if scope not in entry.scopes:
        raise ScenarioError(f"operator {name!r} has no scope {scope}", hint=f"known: {', '.join(entry.scopes)}")


def _check_heads(width: int, heads: tuple[int, ...] | None) -> None:
    for count in heads or ():
        if count < 1 or width % count:
            raise ScenarioError(
                f"{count} heads do not divide width {width}", hint="give heads that divide it, or leave --heads out"
            )
    if width < 1:
        raise ScenarioError(f"width {width} is below 1", hint="a width is a number of channels, say 768")
    if heads is None and width > CHANNELS_PER_HEAD and width % (width // CHANNELS_PER_HEAD):
        raise ScenarioError(
            f"width {width} does not split into heads of about {CHANNELS_PER_HEAD} channels", hint="give --heads"
        )


def check_device(device: str) -> None:
    """Checks that a device is `auto`, a kind, or a kind with an index; whether it is there only a worker can say.

    Raises:
        ScenarioError: Anything else.
    """
    kind, _, index = device.partition(":")
    if kind not in {"auto", *DEVICES} or (index and not index.isdigit()) or device.endswith(":"):
        raise ScenarioError(f"no device {device!r}", hint=did_you_mean(kind, ("auto", *DEVICES)))


AS_WRITTEN = {"operators": "as written"}
"""Context of a page that a run wrote: its operators are taken as they stand, for their package may be gone."""


def scenario_from(
    raw: Mapping[str, Any],
    *,
    source: str = "the flags",
    lines: Mapping[str, int] | None = None,
    context: Mapping[str, str] | None = None,
) -> Scenario:
    """Validates a mapping, from YAML or from flags.

    Args:
        raw: Keys as in a scenario's YAML.
        source: Where it came from, for the message.
        lines: Line number of each top-level key, where there is a file.
        context: AS_WRITTEN for the page of a run.

    Raises:
        ScenarioError: The first thing wrong, in one sentence.
    """
    unknown = [key for key in raw if key not in Scenario.model_fields]
    if unknown:
        place = _place(source, lines, str(unknown[0]))
        raise ScenarioError(
            f"unknown key {unknown[0]!r} in {place}", hint=did_you_mean(str(unknown[0]), Scenario.model_fields)
        )
    try:
        return Scenario.model_validate(dict(raw), context=context)
    except ScenarioError as error:
        raise ScenarioError(error.message if lines is None else f"{source}: {error.message}", error.hint) from None
    except ValidationError as error:
        raise _first_of(error, source, lines) from None


def _first_of(error: ValidationError, source: str, lines: Mapping[str, int] | None) -> ScenarioError:
    """The first thing wrong, by the key as it was written."""
    first = error.errors(include_url=False)[0]
    parts = [str(part) for part in first["loc"]]
    key = ".".join(parts[: 2 if parts and parts[0] in {"operators", "protocol"} else 1])
    place = _place(source, lines, parts[0] if parts else "")
    if first["type"] == "extra_forbidden":
        return ScenarioError(f"unknown key {key!r} in {place}", hint=did_you_mean(parts[-1], Protocol.model_fields))
    text = "no such phase" if key == "phases" else first["msg"].removeprefix("Value error, ")
    given = f" {first['input']!r}" if isinstance(first["input"], str | int | float) else ""
    return ScenarioError(f"{place}: {key}{given}: {text[:1].lower()}{text[1:]}", hint=_hint(key, first["input"]))


HINTS = {
    "name": "write a name of letters, digits, '.', '_' and '-'",
    "operators": "write operators: {hyena: {implementations: [fft]}, flash: {}}",
    "lengths": "write lengths: {from: 1k, to: 128k}, or a list of lengths",
    "protocol": "write protocol: {cache: cold, allocator: warm, threads: 2}",
    "seed": "a seed is a whole number from 0 to 2**63 - 1",
    "rounds": "write a whole number from 1 to 1000, or leave it out",
}


def _hint(key: str, value: object) -> str:
    words: dict[str, Iterable[str]] = {
        "phases": PHASES,
        "scope": Scope,
        "dtype": ("auto", *DType),
        "device": ("auto", *DEVICES),
        "protocol.cache": ("cold", "hot"),
        "protocol.allocator": ("warm", "default"),
        "protocol.inputs": ("random", "ones"),
    }
    if key in words:
        return did_you_mean(str(value), (str(word) for word in words[key]))
    return HINTS.get(key.partition(".")[0], "write a whole number of at least 1, or a list of them")


def _place(source: str, lines: Mapping[str, int] | None, key: str) -> str:
    return f"{source} line {lines[key]}" if lines and key in lines else source


def read_yaml(path: Path) -> tuple[Raw, dict[str, int]]:
    """Reads a scenario's mapping safely, with the line of each top-level key.

    Raises:
        ScenarioError: Not there, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(
            f"cannot read scenario {path.name}: {type(error).__name__}", hint="check the path"
        ) from None
    return _parsed(text, path.name)


def _parsed(text: str, name: str) -> tuple[Raw, dict[str, int]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that is none; nesting without end
        detail = " ".join(str(error).split())
        raise ScenarioError(f"{name} is not valid YAML: {detail}", hint="compare it with a shipped scenario") from None
    if not isinstance(raw, dict) or not isinstance(node, yaml.MappingNode):
        raise ScenarioError(f"{name} holds no mapping", hint="a scenario begins with `operators:`")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.value in lines:
            raise ScenarioError(
                f"key {key.value!r} stands twice in {name}, in lines {lines[key.value]} and {key.start_mark.line + 1}",
                hint="keep one of them",
            )
        lines[str(key.value)] = key.start_mark.line + 1
    return raw, lines


def load_scenario(path: Path, *, context: Mapping[str, str] | None = None) -> Scenario:
    """Reads a scenario's file, or with the context AS_WRITTEN the page of a run.

    Raises:
        ScenarioError: The first thing wrong, with its line.
    """
    raw, lines = read_yaml(path)
    raw.setdefault("name", path.stem)
    return scenario_from(raw, source=path.name, lines=lines, context=context)


def scenario_as_written(text: str) -> Scenario:
    """Reads the page that a journal's header holds.

    Raises:
        ScenarioError: The first thing wrong.
    """
    raw, lines = _parsed(text, "the journal's header")
    return scenario_from(raw, source="the journal's header", lines=lines, context=AS_WRITTEN)
