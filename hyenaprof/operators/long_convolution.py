"""The operator class of Hyena and its relatives: they share layer and core and differ in what makes the filters."""

from __future__ import annotations

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.errors import OperatorError, Unsupported
from hyenaprof.model import Cost, DType, OptionValue, Phase, Scope, Shape
from hyenaprof.operators.base import (
    TORCH_DTYPES,
    CausalAxes,
    Inputs,
    Launcher,
    Operator,
    SpotCheck,
    fields_of,
    leaf,
    seeded,
)
from hyenaprof.operators.chunked import Workspace
from hyenaprof.operators.chunked_core import chunked_core
from hyenaprof.operators.chunked_layer import (
    Spectra,
    TapsOf,
    chunked_layer,
    chunked_layer_forward,
    chunked_layer_kept,
    filter_spectra,
)
from hyenaprof.operators.chunked_need import chunked_need_bytes, native_need_bytes
from hyenaprof.operators.compiled import EXAMPLE_LENGTH, Stages, compiled_core, compiled_layer, compiled_stages
from hyenaprof.operators.gated_convolution import (
    Core,
    MixingWeights,
    core_definition,
    layer_definition,
    mixing_weights,
    plain_layer,
)
from hyenaprof.operators.kept import Kept
from hyenaprof.operators.long_convolution_adapters import core_of
from hyenaprof.operators.long_convolution_checks import core_spot_checks
from hyenaprof.operators.long_convolution_cost import (
    LayerSize,
    algorithmic_cost,
    compiled_need_bytes,
    direct_need_bytes,
    plain_need_bytes,
)
from hyenaprof.operators.native import NativeWorkspace, refuse_what_native_cannot
from hyenaprof.operators.projections import LayerTensors, layer_tensors
from hyenaprof.operators.tap_maker import TapMaker, Taps

Layer = Callable[[LayerTensors, MixingWeights, Tensor], Tensor]

NEED_BYTES = {
    "direct": direct_need_bytes,
    "chunked": chunked_need_bytes,
    "native": native_need_bytes,
    "compiled": compiled_need_bytes,
}
"""Peak memory by implementation, where it is not the plain one's."""


class CoreInputs(NamedTuple):
    """What lies between the projections, channels first; taps are inputs, since parameters alone make them."""

    z_BPL: Tensor
    taps_ODL: Tensor
    short_weight_PT: Tensor
    short_bias_P: Tensor
    skip_OD: Tensor


class LongConvolution(Operator):
    """A gated long-convolution layer with some filter.

    In a 16-bit dtype the filter's parameters and taps stay float32: a position t / L or a sine of a phase has no place
    in eight bits, and public models keep them so.

    Args:
        options: Every option of the table's entry.
        order: N; the layer holds N gates and N - 1 long convolutions.
        short_taps: Taps of the short filter.
        tap_maker: Makes the long filters.
        keeping: `recomputed`: a layer makes its filters in each call; `cached`: in the first alone, and cannot learn.
    """

    def __init__(
        self,
        options: Mapping[str, OptionValue],
        *,
        order: int,
        short_taps: int,
        tap_maker: TapMaker,
        keeping: str = "recomputed",
    ) -> None:
        super().__init__(options)
        if keeping not in {"recomputed", "cached"}:
            raise OperatorError(f"filter={keeping!r} is not known", hint="filter is recomputed or cached")
        if order < 2:
            raise OperatorError(f"order={order} is below 2", hint="order 2 has one long convolution, order 3 two")
        if short_taps < 1:
            raise OperatorError(f"short_taps={short_taps} is below 1", hint="the paper's short filter has 3 taps")
        self.order = order
        self.short_taps = short_taps
        self.tap_maker = tap_maker
        self.cached = keeping == "cached"
        if self.cached:
            self.forward_only = "filter=cached keeps what learning would change"

    @property
    def long_convolutions(self) -> int:
        """How many long convolutions a layer holds: one less than its order."""
        return self.order - 1

    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:
        """Makes x, projections, short filter, skip and filter parameters, or in core scope z, short filter and taps."""
        generator, kind = seeded(seed), TORCH_DTYPES[dtype]
        layer = layer_tensors(shape, self.order + 1, generator)
        mixing = mixing_weights(shape, self.order, self.short_taps, generator)
        parameters = self.tap_maker.parameters(shape, generator)
        if scope is Scope.LAYER:
            return joined(
                LayerTensors(*(leaf(tensor, kind, device) for tensor in layer)),
                MixingWeights(*(leaf(tensor, kind, device) for tensor in mixing)),
                type(parameters)(*(leaf(tensor, filter_dtype(dtype), device) for tensor in parameters)),
            )
        make = self.tap_maker.maker(shape, dtype=torch.float32, device=torch.device("cpu"))
        with torch.no_grad():
            z_BPL = torch.randn(shape.batch, (self.order + 1) * shape.width, shape.length, generator=generator)
            taps_ODL = make(*parameters)
        return CoreInputs(
            leaf(z_BPL, kind, device),
            leaf(taps_ODL, filter_dtype(dtype), device),
            *(leaf(tensor, kind, device) for tensor in mixing),
        )

    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives one of ours, which differ in how often they pass through memory, or one whose convolutions are a library's.

        `fft` is the plain one, and `direct` that of short filters; `chunked` goes through the layer in chunks of channels, with its own backward pass;
        `native` has the stages between the transforms in C++; `compiled` has them from torch.compile.

        Raises:
            Unsupported: No such implementation, or it, its library or its compiler does not run this here.
        """
        activations, filters = TORCH_DTYPES[dtype], filter_dtype(dtype)
        match implementation:
            case "chunked":
                return self._chunked(shape, scope, Workspace, dtype=filters, device=device)
            case "native":
                refuse_what_native_cannot(activations, device, self.short_taps)
                return self._chunked(shape, scope, NativeWorkspace, dtype=filters, device=device)
            case "compiled":
                run = partial(self._run_short, shape, scope, dtype=dtype, device=device)
                stages = compiled_stages(shape.length, device, run=run)
                return self._compiled(stages, shape, scope, dtype=filters, device=device)
        if implementation == "direct" and self.tap_maker.most_taps is None:
            raise Unsupported("direct is for short filters; with one of L taps it would take O(L^2)")
        core = core_of(implementation, shape, dtype=activations, device=device)
        make = self.tap_maker.maker(shape, dtype=filters, device=device)
        return self._by_taps(scope, core, partial(plain_layer, core=core), make)

    def _by_taps(self, scope: Scope, core: Core, layer: Layer, make: Taps) -> Launcher:
        """A launcher that makes all taps before it begins."""
        if scope is Scope.CORE:
            return lambda z, taps, *mixing: core(z, taps, MixingWeights(*mixing))
        kept = Kept(make) if self.cached else None

        def launch(*tensors: Tensor) -> Tensor:
            given, mixing, parameters = split_layer(tensors)
            return layer(given, mixing, make(*parameters) if kept is None else kept(*parameters))

        return launch

    def _compiled(
        self, stages: Stages, shape: Shape, scope: Scope, *, dtype: torch.dtype, device: torch.device
    ) -> Launcher:
        core, layer = partial(compiled_core, stages=stages), partial(compiled_layer, stages=stages)
        return self._by_taps(scope, core, layer, self.tap_maker.channels_first(shape, dtype=dtype, device=device))

    def _run_short(self, shape: Shape, scope: Scope, stages: Stages, *, dtype: DType, device: torch.device) -> None:
        """Runs the stages forward, and backward where they may, on a short sequence."""
        short = shape.at(min(shape.length, EXAMPLE_LENGTH))
        inputs = self.inputs(short, scope, dtype=dtype, device=device, seed=0)
        launch = self._compiled(stages, short, scope, dtype=filter_dtype(dtype), device=device)
        with torch.no_grad():
            launch(*inputs)
        output = launch(*inputs)
        if not self.cached:
            learned = [tensor for tensor in inputs if tensor.requires_grad]
            torch.autograd.grad(output, learned, torch.ones_like(output))

    def _chunked(
        self, shape: Shape, scope: Scope, workspace: type[Workspace], *, dtype: torch.dtype, device: torch.device
    ) -> Launcher:
        if scope is Scope.CORE:
            return lambda z, taps, *mixing: chunked_core(z, taps, MixingWeights(*mixing), workspace=workspace)
        make = self.tap_maker.channels_first(shape, dtype=dtype, device=device)
        prepare = self.tap_maker.in_groups(shape, dtype=dtype, device=device)
        taps = self.tap_maker.taps(shape.length)

        def launch(*tensors: Tensor) -> Tensor:
            given, mixing, parameters = split_layer(tensors)
            if torch.is_grad_enabled():
                return chunked_layer(given, mixing, make(*parameters), workspace=workspace)
            return chunked_layer_forward(given, mixing, prepare(*parameters), workspace=workspace, taps=taps)

        return self._chunked_kept(prepare, workspace, taps) if self.cached else launch

    def _chunked_kept(self, prepare: Callable[..., TapsOf], workspace: type[Workspace], taps: int) -> Launcher:
        def spectra_of(*tensors: Tensor) -> Spectra:
            given, mixing, parameters = split_layer(tensors)
            return filter_spectra(given, mixing, prepare(*parameters), workspace=workspace, taps=taps)

        kept = Kept(spectra_of, unread=len(LayerTensors._fields))

        def launch(*tensors: Tensor) -> Tensor:
            given, mixing, _ = split_layer(tensors)
            spectra = kept(*tensors)
            with torch.no_grad():
                return chunked_layer_kept(given, mixing, spectra, workspace=workspace, taps=taps)

        return launch

    def differentiable(self, implementation: str) -> bool:  # noqa: ARG002 -- all alike
        """Whether there is a backward pass: not where the filter is kept."""
        return not self.cached

    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:
        """The definition: convolutions lag by lag, taps output by output."""
        if scope is Scope.CORE:
            return core_definition(inputs[0], inputs[1], MixingWeights(*inputs[2:]))
        given, mixing, parameters = split_layer(inputs)
        return layer_definition(given, mixing, self.tap_maker.definition(*given.x_BLD.shape[1:], *parameters))

    def cost(
        self,
        implementation: str,
        shape: Shape,
        scope: Scope,
        *,
        phase: Phase,
        dtype: DType,
    ) -> Cost:
        """Counts FLOPs and bytes by the formulas of `long_convolution_cost`."""
        size = LayerSize(
            shape=shape,
            order=self.order,
            short_taps=self.short_taps,
            filter_flops=self.tap_maker.flops(shape),
            filter_cached=self.cached and scope is not Scope.CORE,
            filter_parameters=self.tap_maker.parameter_count(shape),
            filter_saved=self.tap_maker.saved_elements(shape),
            filter_hidden=self.tap_maker.hidden_elements(shape),
            filter_taps=self.tap_maker.taps(shape.length),
            direct=implementation == "direct",
            itemsize_bytes=dtype.itemsize_bytes,
        )
        need_bytes = NEED_BYTES.get(implementation, plain_need_bytes)
        return algorithmic_cost(size, scope, phase, need_bytes=need_bytes(size, scope, phase))

    def causal_axes(self, scope: Scope) -> CausalAxes:
        """Length stands second in layer scope, last in core scope."""
        return CausalAxes((2,), 2) if scope is Scope.CORE else CausalAxes((1,), 1)

    def spot_checks(
        self,
        scope: Scope,
        inputs: Inputs,
        *,
        output: Tensor,
        cotangent: Tensor,
        gradients: Mapping[str, Tensor],
        seed: int,
    ) -> Iterable[SpotCheck]:
        """Core scope: whole rows of sampled channels, and single sums; a layer mixes all channels and has none."""
        if scope is not Scope.CORE:
            return ()
        return core_spot_checks(inputs, output=output, cotangent=cotangent, gradients=gradients, seed=seed)


class FilterVariant(LongConvolution):
    """The layer of order 2 with another filter in Hyena's place: the paper's comparison of parametrisations.

    Source: Poli et al. 2023, "Hyena Hierarchy", section 4.1, arXiv:2302.10866.
    """

    def __init__(self, options: Mapping[str, OptionValue]) -> None:
        super().__init__(
            options,
            order=2,
            short_taps=int(options["short_taps"]),
            keeping=str(options["filter"]),
            tap_maker=self.filters(options),
        )

    @staticmethod
    @abstractmethod
    def filters(options: Mapping[str, OptionValue]) -> TapMaker:
        """What makes the filters."""


def filter_dtype(dtype: DType) -> torch.dtype:
    """The dtype of filters and their parameters: at least float32."""
    return torch.float64 if dtype is DType.FLOAT64 else torch.float32


def joined(*parts: Inputs) -> Inputs:
    """One NamedTuple of several, fields in order."""
    fields = [name for part in parts for name in fields_of(part)]
    tensors = [tensor for part in parts for tensor in part]
    made: Inputs = namedtuple("LayerInputs", fields)(*tensors)  # noqa: PYI024 -- its fields differ by filter
    return made


def split_layer(tensors: Inputs) -> tuple[LayerTensors, MixingWeights, Inputs]:
    """A layer's inputs as projections, mixing weights, and the filter's own parameters."""
    first, second = len(LayerTensors._fields), len(LayerTensors._fields) + len(MixingWeights._fields)
    return LayerTensors(*tensors[:first]), MixingWeights(*tensors[first:second]), tensors[second:]
