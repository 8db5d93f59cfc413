"""What the layers with state-space kernels share: inputs, convolutions plain and chunked, the definition, the cost's frame.

A kernel is a `TapMaker`: the layer convolves with the kernel's first L values, as in training. What lies around the
convolution is each operator's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.model import Cost, DType, OptionValue, Phase, Scope, Shape
from hyenaprof.operators.base import (
    TORCH_DTYPES,
    CausalAxes,
    Inputs,
    Launcher,
    Operator,
    leaf,
    normal,
    of_phase,
    seeded,
)
from hyenaprof.operators.chunked import Cut
from hyenaprof.operators.chunked_convolution import chunked_convolution
from hyenaprof.operators.convolution import direct_long_convolution, long_convolution
from hyenaprof.operators.long_convolution import filter_dtype, joined
from hyenaprof.operators.long_convolution_cost import BACKWARD_TRAFFIC, transformed_flops
from hyenaprof.operators.tap_maker import TapMaker

Convolve = Callable[[Tensor, Tensor, Tensor], Tensor]
"""u [B, D, L], taps [D, K], skip [D] to h * u + b u."""


def plain_convolution(u_BDL: Tensor, taps_DK: Tensor, skip_D: Tensor) -> Tensor:
    """By one transform of everything, gradients left to autograd."""
    return long_convolution(u_BDL, taps_DK) + skip_D[:, None] * u_BDL


def defined_convolution(u_BDL: Tensor, taps_DK: Tensor, skip_D: Tensor) -> Tensor:
    """The same lag by lag, for the float64 reference."""
    return direct_long_convolution(u_BDL, taps_DK) + skip_D[:, None] * u_BDL


class Peak(NamedTuple):
    """Memory at one of the moments at which it is highest, in numbers beyond what a call is given."""

    units: float
    """Activations [B, L, D]."""
    taps: float
    """Kernels [D, L]."""
    transforms: float = 0
    """Padded signals of a chunk."""


Need = Mapping[tuple[str, Scope, bool], tuple[Peak, ...]]
"""By implementation, scope, and whether it learns."""

CONVOLUTIONS: dict[str, Convolve] = {"fft": plain_convolution, "chunked": chunked_convolution}
"""By implementation."""


class StateSpaceOperator(Operator):
    """A layer around convolutions with kernels of state spaces; kernels stay float32 where activations have 16 bits.

    Attributes:
        outer_type: x and the projections, a NamedTuple.
        mixing_type: What else is learned beside the kernels: vectors [D].
        core_type: The core's inputs: its activation, taps of each kernel, then the mixing weights.
        streams: Widths of the core's activation.
        pointwise: FLOPs of the core for each element of its output, convolutions apart.
        source: Where the layer is defined.
        need: Peaks, of which the highest counts; in layer scope with the taps themselves.
    """

    outer_type: ClassVar[Any]  # the class of a NamedTuple: no type that they share has their constructors
    mixing_type: ClassVar[Any]  # likewise
    core_type: ClassVar[Any]  # likewise
    streams: ClassVar[int]
    pointwise: ClassVar[float]
    source: ClassVar[str]
    need: ClassVar[Need]

    def __init__(self, options: Mapping[str, OptionValue]) -> None:
        super().__init__(options)
        self.kernels = self.made_kernels(options)

    @abstractmethod
    def made_kernels(self, options: Mapping[str, OptionValue]) -> tuple[TapMaker, ...]:
        """What makes each kernel."""

    @abstractmethod
    def outer(self, shape: Shape, generator: torch.Generator) -> Inputs:
        """Makes x and the projections."""

    @abstractmethod
    def mixing(self, shape: Shape, generator: torch.Generator) -> Inputs:
        """Makes the mixing weights."""

    @abstractmethod
    def core(self, convolve: Convolve, *tensors: Tensor) -> Tensor:
        """From a `core_type` unpacked to [B, D, L]."""

    @abstractmethod
    def enter(self, outer: Inputs) -> Tensor:
        """The core's activation, channels first."""

    @abstractmethod
    def leave(self, outer: Inputs, y_BDL: Tensor) -> Tensor:
        """The layer's output [B, L, D] from the core's."""

    def split(self, parameters: Inputs) -> tuple[Inputs, ...]:
        """The parameters of each kernel."""
        return (parameters,)

    @abstractmethod
    def outer_flops(self, shape: Shape) -> float:
        """FLOPs around the core, forward; backward takes twice that."""

    @abstractmethod
    def outer_bytes(self, shape: Shape, itemsize_bytes: int) -> float:
        """Bytes moved around the core, forward."""

    @abstractmethod
    def outer_parameters(self, width: int) -> int:
        """Learned numbers around the core."""

    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:
        """Makes x, projections, mixing weights and kernels' parameters, or in core scope activations and taps."""
        generator, kind, wide = seeded(seed), TORCH_DTYPES[dtype], filter_dtype(dtype)
        outer, mixing = self.outer(shape, generator), self.mixing(shape, generator)
        parameters = [kernel.parameters(shape, generator) for kernel in self.kernels]
        if scope is Scope.LAYER:
            return joined(
                self.outer_type(*(leaf(tensor, kind, device) for tensor in outer)),
                self.mixing_type(*(leaf(tensor, kind, device) for tensor in mixing)),
                *(type(given)(*(leaf(tensor, wide, device) for tensor in given)) for given in parameters),
            )
        z_BPL = normal(shape.batch, self.streams * shape.width, shape.length, generator=generator)
        with torch.no_grad():
            makers = self._makers(shape, torch.float32, torch.device("cpu"))
            taps = [make(*given)[0] for make, given in zip(makers, parameters, strict=True)]
        made: Inputs = self.core_type(
            leaf(z_BPL, kind, device),
            *(leaf(taps_DK, wide, device) for taps_DK in taps),
            *(leaf(tensor, kind, device) for tensor in mixing),
        )
        return made

    def _makers(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> list[Launcher]:
        return [kernel.channels_first(shape, dtype=dtype, device=device) for kernel in self.kernels]

    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives `fft`, by transforms of whole activations, or `chunked`, some channels at a time.

        Raises:
            Unsupported: No such implementation.
        """
        if implementation not in CONVOLUTIONS:
            raise Unsupported(f"no implementation {implementation!r}")
        convolve = CONVOLUTIONS[implementation]
        if scope is Scope.CORE:
            return lambda *tensors: self.core(convolve, *tensors)
        makers = self._makers(shape, filter_dtype(dtype), device)

        def launch(*tensors: Tensor) -> Tensor:
            outer, mixing, parameters = self._parts(tensors)
            taps = [make(*given)[0] for make, given in zip(makers, self.split(parameters), strict=True)]
            return self.leave(outer, self.core(convolve, self.enter(outer), *taps, *mixing))

        return launch

    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:
        """The definition: convolutions lag by lag, kernels by their own."""
        if scope is Scope.CORE:
            return self.core(defined_convolution, *inputs)
        outer, mixing, parameters = self._parts(inputs)
        _, length, width = outer[0].shape
        given = zip(self.kernels, self.split(parameters), strict=True)
        taps = [kernel.definition(length, width, *learned)[0] for kernel, learned in given]
        return self.leave(outer, self.core(defined_convolution, self.enter(outer), *taps, *mixing))

    def _parts(self, tensors: Inputs) -> tuple[Inputs, Inputs, Inputs]:
        first = len(self.outer_type._fields)
        second = first + len(self.mixing_type._fields)
        return self.outer_type(*tensors[:first]), self.mixing_type(*tensors[first:second]), tensors[second:]

    def causal_axes(self, scope: Scope) -> CausalAxes:
        """Length stands second in layer scope, last in core scope."""
        return CausalAxes((2,), 2) if scope is Scope.CORE else CausalAxes((1,), 1)

    def cost(
        self,
        implementation: str,
        shape: Shape,
        scope: Scope,
        *,
        phase: Phase,
        dtype: DType,
    ) -> Cost:
        """Counts what is done: products, real FFTs of L + K points as 2.5 n log2 n, kernels once for all B."""
        layer, elements = scope is Scope.LAYER, float(shape.batch * shape.length * shape.width)
        convolved = [
            transformed_flops(shape.batch, shape.width, shape.length + kernel.taps(shape.length))
            for kernel in self.kernels
        ]
        made = [kernel.flops(shape) for kernel in self.kernels] if layer else []
        simple = self.pointwise * elements + (self.outer_flops(shape) if layer else 0.0)
        moved = self._forward_bytes(shape, dtype, layer=layer)
        return Cost(
            flops=of_phase(
                phase,
                forward=simple + sum(forward for forward, _ in (*convolved, *made)),
                backward=2 * simple + sum(backward for _, backward in (*convolved, *made)),
            ),
            bytes=of_phase(phase, forward=moved, backward=BACKWARD_TRAFFIC * moved),
            parameters=self._parameters(shape) if layer else 0,
            need_bytes=self.need_bytes(implementation, shape, scope, phase, dtype),
            source=self.source,
        )

    def _parameters(self, shape: Shape) -> int:
        kernels = sum(kernel.parameter_count(shape) for kernel in self.kernels)
        return self.outer_parameters(shape.width) + len(self.mixing_type._fields) * shape.width + kernels

    def _taps_bytes(self, shape: Shape, dtype: DType) -> int:
        taps = sum(kernel.taps(shape.length) for kernel in self.kernels)
        return shape.width * taps * max(4, dtype.itemsize_bytes)

    def _forward_bytes(self, shape: Shape, dtype: DType, *, layer: bool) -> float:
        """Core: read the streams and the taps, write y. Layer: projections beside it, and taps written before read."""
        unit, taps = (
            float(shape.batch * shape.length * shape.width * dtype.itemsize_bytes),
            self._taps_bytes(shape, dtype),
        )
        core = (self.streams + 1) * unit + taps
        if not layer:
            return core
        kernels = sum(kernel.parameter_count(shape) for kernel in self.kernels) * max(4, dtype.itemsize_bytes)
        return core + taps + kernels + self.outer_bytes(shape, dtype.itemsize_bytes)

    def need_bytes(self, implementation: str, shape: Shape, scope: Scope, phase: Phase, dtype: DType) -> float:
        """Peak memory of a call, inputs, weights and the gradient of the output included.

        Either while the layer runs, from `need`, or while its kernels are made. From the allocations of torch.profiler on a
        CPU (torch 2.13) in float32; what is wider in 16 bits is counted as if all were. On a GPU chunks are larger and
        transforms have workspaces (not measured).
        """
        wide, learns, layer = max(4, dtype.itemsize_bytes), phase.has_gradients, scope is Scope.LAYER
        unit = float(shape.batch * shape.length * shape.width)
        taps = float(shape.width * shape.length)
        need = self.need[implementation, scope, learns]
        transform = self._transform_elements(shape, dtype) if implementation == "chunked" else 0.0
        running = max(each.units * unit + each.taps * taps + each.transforms * transform for each in need)
        making = max(kernel.making_bytes(shape, learns=learns) for kernel in self.kernels) if layer else 0.0
        held = self._held_elements(shape, layer=layer) + (unit if learns else 0.0)
        gradients = self.outer_parameters(shape.width) if layer and learns else 0
        return wide * (held + gradients + taps) + max(wide * (running - taps), making)

    def _held_elements(self, shape: Shape, *, layer: bool) -> float:
        """The inputs and weights."""
        unit = float(shape.batch * shape.length * shape.width)
        if layer:
            return unit + self._parameters(shape)
        taps = shape.width * sum(kernel.taps(shape.length) for kernel in self.kernels)
        return self.streams * unit + taps + len(self.mixing_type._fields) * shape.width

    def _transform_elements(self, shape: Shape, dtype: DType) -> float:
        cut = Cut.of(shape.length, shape.width, TORCH_DTYPES[dtype], torch.device("cpu"))
        return float(cut.channels * cut.points)
