"""What an operator is: a generator of inputs outside the timed region and a launcher inside it.

Tensors end in their dimensions: B batch, L length, D width, H heads, K head dimension D / H, N state size,
F frequencies of an rfft, E embedding, W filter network width, P projected channels, T short taps, O long convolutions,
C = O D filter channels, I inner layers of the filter network.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from hyenaprof.errors import OperatorError, Unsupported, did_you_mean
from hyenaprof.model import Cost, DType, OptionValue, Phase, Scope, Shape
from hyenaprof.operators import OperatorEntry, entry_of

Inputs = tuple[Tensor, ...]
"""A NamedTuple of tensors: its field names are the names of inputs and weights in checks and errors."""
Launcher = Callable[..., Tensor]

TORCH_DTYPES: dict[DType, torch.dtype] = {
    DType.FLOAT64: torch.float64,
    DType.FLOAT32: torch.float32,
    DType.BFLOAT16: torch.bfloat16,
    DType.FLOAT16: torch.float16,
}


class CausalAxes(NamedTuple):
    """Where the length lies: in each of the first inputs, in order, and in the output."""

    inputs: tuple[int, ...]
    output: int


class SpotCheck(NamedTuple):
    """Some values of one quantity as an implementation gave them, and as float64 arithmetic gives them."""

    quantity: str
    got: Tensor
    expected: Tensor
    cancels: bool = False
    """Whether each value is a sum over the length whose terms cancel, so that rounding weighs more."""


class Operator(ABC):
    """An operator with its options; implementations differ only in what `build` returns.

    Everything learned is an input: `inputs` gives activations and weights alike, so that all implementations and the
    reference run on the very same tensors and every gradient has a name.

    Args:
        options: Every option of the table's entry, defaults filled in.
    """

    scopes: tuple[Scope, ...] = (Scope.CORE, Scope.LAYER)
    entry: ClassVar[OperatorEntry | None] = None
    """The table line of an operator that lives outside the package; those inside stand in OPERATORS."""
    forward_only: str = ""
    """Why there is no backward pass, where `differentiable` says so and there is more to say."""

    def __init__(self, options: Mapping[str, OptionValue]) -> None:
        self.options = dict(options)

    @abstractmethod
    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:
        """Makes seeded random inputs and weights.

        Returns:
            A NamedTuple of leaf tensors, all but constants requiring gradients. The same seed, shape and scope give
            the same values on every device and dtype up to rounding (made in float32 on the CPU or by a seeded
            generator on the device). The first field is the activation that carries the length: [B, L, D] in layer
            scope, the operator's own layout in core scope.
        """

    @abstractmethod
    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives the callable that is timed, called with the inputs unpacked.

        Raises:
            Unsupported: This shape, dtype or device cannot be run here, in the library's own words.
        """

    @abstractmethod
    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:
        """The definition, in plain PyTorch on float64 tensors, by no fast algorithm; O(L^2) is fine."""

    @abstractmethod
    def cost(self, implementation: str, shape: Shape, scope: Scope, *, phase: Phase, dtype: DType) -> Cost:
        """Analytic FLOPs and bytes of one call, with their source."""

    def causal_axes(self, scope: Scope) -> CausalAxes | None:  # noqa: ARG002 -- for operators to override
        """Where the length lies; None where the operator is not causal."""
        return CausalAxes((1,), 1)

    def expected_ops(self, implementation: str, device_type: str) -> tuple[str, ...]:  # noqa: ARG002 -- to override
        """Ops that the profiler must see when this implementation really ran; empty where any will do."""
        return ()

    def differentiable(self, implementation: str) -> bool:  # noqa: ARG002 -- for operators to override
        """Whether the implementation has a backward pass."""
        return True

    def cancels(self, scope: Scope, field: str) -> bool:  # noqa: ARG002 -- for operators to override
        """Whether a field's gradient sums terms over the length that cancel: a weight's does, an activation's not."""
        return not carries_length(field)

    def cotangent(self, scope: Scope, output: Tensor, seed: int) -> Tensor:  # noqa: ARG002 -- to override
        """The gradient of the output that checks at length use: seeded normals, unless an operator needs it sparse."""
        return torch.randn(output.shape, generator=seeded(seed)).to(output.device, output.dtype)

    def spot_checks(
        self,
        scope: Scope,  # noqa: ARG002 -- for operators to override
        inputs: Inputs,  # noqa: ARG002
        *,
        output: Tensor,  # noqa: ARG002
        cotangent: Tensor,  # noqa: ARG002
        gradients: Mapping[str, Tensor],  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> Iterable[SpotCheck]:
        """Compares sampled values at any length in far less than O(L^2) memory; nothing where it cannot be done.

        Args:
            scope: What the inputs are inputs of.
            inputs: What the implementation was given.
            output: What it returned.
            cotangent: The gradient of the output, from `cotangent`.
            gradients: The gradient of each input by name; empty where the implementation has none.
            seed: Chooses the positions.
        """
        return ()


def refuse_backward(operator: Operator, label: str) -> Unsupported:
    """What is said where gradients are wanted and there are none."""
    return Unsupported(
        f"{label} has no backward pass" + (f": {operator.forward_only}" if operator.forward_only else "")
    )


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU: the same values for every device, moved there by the caller."""
    return torch.Generator(device="cpu").manual_seed(seed)


def normal(*sizes: int, generator: torch.Generator) -> Tensor:
    """Standard normal values in float32 on the CPU."""
    return torch.randn(sizes, generator=generator)


def uniform(*sizes: int, bound: float, generator: torch.Generator) -> Tensor:
    """Values in float32 on the CPU, uniform from -bound to bound."""
    return (torch.rand(sizes, generator=generator) * 2 - 1) * bound


def leaf(values: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A leaf on the device that wants a gradient, unless it is empty and nothing can depend on it."""
    return values.detach().to(device=device, dtype=dtype).contiguous().requires_grad_(values.numel() > 0)


def fields_of(inputs: Inputs) -> tuple[str, ...]:
    """Names of an operator's inputs.

    Raises:
        OperatorError: They are no NamedTuple.
    """
    names: tuple[str, ...] | None = getattr(inputs, "_fields", None)
    if names is None:
        raise OperatorError("an operator's inputs have no names", hint="return a NamedTuple from `inputs`")
    return names


def quantity_name(field: str) -> str:
    """A field's name without its dimensions: `in_weight_PD` is `in_weight`."""
    name, _, dimensions = field.rpartition("_")
    return name if name and dimensions.isupper() else field


def carries_length(field: str) -> bool:
    """Whether a field's dimensions hold the length; without dimensions in its name it is taken to."""
    name, _, dimensions = field.rpartition("_")
    return not (name and dimensions.isupper()) or "L" in dimensions


def of_phase(phase: Phase, *, forward: float, backward: float) -> float:
    """What a phase takes in all; training is one forward and one backward.

    Raises:
        Unsupported: The phase is decode, which no operator here has.
    """
    if phase is Phase.DECODE:
        raise Unsupported("no phase decode")
    return {Phase.FORWARD: forward, Phase.BACKWARD: backward}.get(phase, forward + backward)


def entry_for(name: str) -> OperatorEntry:
    """The table line of an operator named in OPERATORS, or of a class outside it, `package.module:Class`.

    Raises:
        ScenarioError: No such name in the table.
        OperatorError: No such class, or it has no `entry`.
    """
    if "." not in name.partition(":")[0]:
        return entry_of(name)
    entry = _class_at(name).entry
    if entry is None:
        raise OperatorError(f"{name} has no `entry`", hint="give the class an OperatorEntry named entry")
    return entry


def load(name: str, options: Mapping[str, OptionValue]) -> Operator:
    """Imports an operator and gives it its options, defaults filled in.

    Args:
        name: A name in OPERATORS, or `package.module:Class`.
        options: Those that differ from the defaults.

    Raises:
        ScenarioError: No such name in the table.
        OperatorError: No such class, an unknown option, or a value of another type.
    """
    entry = entry_for(name)
    target = entry.target if "." not in name.partition(":")[0] else name
    return _class_at(target)(complete_options(name, entry, options))


def complete_options(name: str, entry: OperatorEntry, options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Fills the defaults in.

    Raises:
        OperatorError: An unknown option, or a value of another type than its default's.
    """
    for option in options:
        if option not in entry.options:
            raise OperatorError(f"{name} has no option {option!r}", hint=did_you_mean(option, entry.options))
    return {
        option: _typed(f"{name}.{option}", options.get(option, default), default)
        for option, default in entry.options.items()
    }


def _typed(label: str, value: OptionValue, default: OptionValue) -> OptionValue:
    wanted = type(default)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise OperatorError(
            f"{label}={value!r} is not of type {wanted.__name__}", hint=f"its default is {label}={default}"
        )
    return value


def _class_at(target: str) -> type[Operator]:
    module_name, _, class_name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise OperatorError(f"{target} cannot be imported: {error}", hint="write package.module:Class") from error
    if not (isinstance(found, type) and issubclass(found, Operator)):
        raise OperatorError(f"{target} is no operator", hint="name a subclass of hyenaprof.operators.base.Operator")
    return found
