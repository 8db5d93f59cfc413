"""Causal attention: the standard one, which writes its scores to memory, and flash kernels, which do not."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.errors import Unsupported
from hyenaprof.model import Cost, DType, Phase, Scope, Shape
from hyenaprof.operators.attention_checks import core_spot_checks, layer_spot_checks, sparse_cotangent
from hyenaprof.operators.attention_cost import flash_cost, standard_cost
from hyenaprof.operators.attention_kernels import ACTIVATED, BACKENDS, DISPATCHED, PACKAGES, flash_kernel
from hyenaprof.operators.base import (
    TORCH_DTYPES,
    CausalAxes,
    Inputs,
    Launcher,
    Operator,
    SpotCheck,
    leaf,
    normal,
    seeded,
)
from hyenaprof.operators.projections import layer_tensors

PARTS = 3
"""Widths that the input projection gives: queries, keys and values, in this order."""


class CoreInputs(NamedTuple):
    """Queries, keys and values."""

    q_BHLK: Tensor
    k_BHLK: Tensor
    v_BHLK: Tensor


class LayerInputs(NamedTuple):
    """A layer's input and projections: Hyena's of order 2, viewed so that the heads show."""

    x_BLD: Tensor
    in_weight_3HKD: Tensor
    in_bias_3HK: Tensor
    out_weight_DD: Tensor
    out_bias_D: Tensor


class Attention(Operator):
    """Multi-head causal attention with scale 1/sqrt(K); projections with biases, as on Hyena's side."""

    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:
        """Makes x and projections, or in core scope q, k and v ~ N(0, 1)."""
        generator, kind = seeded(seed), TORCH_DTYPES[dtype]
        heads = (shape.heads, shape.head_dimension)
        if scope is Scope.CORE:
            sizes = (shape.batch, heads[0], shape.length, heads[1])
            return CoreInputs(*(leaf(normal(*sizes, generator=generator), kind, device) for _ in range(PARTS)))
        given = layer_tensors(shape, PARTS, generator)
        views = (
            given.x_BLD,
            given.in_weight_PD.view(PARTS, *heads, shape.width),
            given.in_bias_P.view(PARTS, *heads),
            given.out_weight_DD,
            given.out_bias_D,
        )
        return LayerInputs(*(leaf(tensor, kind, device) for tensor in views))

    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives the kernel, or in layer scope the kernel between the projections."""
        kernel = self.kernel(implementation, shape, dtype=dtype, device=device)
        if scope is Scope.CORE:
            return kernel

        def layer(*tensors: Tensor) -> Tensor:
            given = LayerInputs(*tensors)
            qkv_BLP = functional.linear(given.x_BLD, given.in_weight_3HKD.flatten(0, 2), given.in_bias_3HK.flatten())
            qkv_BL3HK = qkv_BLP.view(*qkv_BLP.shape[:2], *given.in_bias_3HK.shape)
            y_BHLK = kernel(*qkv_BL3HK.permute(2, 0, 3, 1, 4).unbind())
            return functional.linear(y_BHLK.transpose(1, 2).flatten(2), given.out_weight_DD, given.out_bias_D)

        return layer

    @abstractmethod
    def kernel(self, implementation: str, shape: Shape, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives the callable of q, k and v.

        Raises:
            Unsupported: No such implementation, or it cannot run this here.
        """

    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:
        """The definition, one query after the other."""
        if scope is Scope.CORE:
            return attention_definition(*inputs)
        x_BLD, in_weight_3HKD, in_bias_3HK, out_weight_DD, out_bias_D = inputs
        q, k, v = torch.einsum("bld,phkd->pbhlk", x_BLD, in_weight_3HKD) + in_bias_3HK[:, None, :, None]
        y_BLD = attention_definition(q, k, v).transpose(1, 2).flatten(2)
        return y_BLD @ out_weight_DD.T + out_bias_D

    def causal_axes(self, scope: Scope) -> CausalAxes:
        """Length stands second in layer scope, third in core scope in each of q, k and v."""
        return CausalAxes((2, 2, 2), 2) if scope is Scope.CORE else CausalAxes((1,), 1)

    def cancels(self, scope: Scope, field: str) -> bool:
        """In core scope all do: a softmax's gradient is what is left of weights times their distance from a mean."""
        return scope is Scope.CORE or super().cancels(scope, field)

    def cotangent(self, scope: Scope, output: Tensor, seed: int) -> Tensor:
        """In layer scope zero but for some rows, so that every gradient can be had in far less than O(L^2)."""
        return sparse_cotangent(output, seed) if scope is Scope.LAYER else super().cotangent(scope, output, seed)

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
        """Core: sampled rows, and keys and values of the last positions. Layer: every gradient of sampled rows."""
        if scope is Scope.CORE:
            return core_spot_checks(inputs, output=output, cotangent=cotangent, gradients=gradients, seed=seed)
        return layer_spot_checks(inputs, output=output, cotangent=cotangent, gradients=gradients)


class FlashAttention(Attention):
    """Attention by kernels that keep their scores on the chip (Dao 2023, arXiv:2307.08691, and those after it)."""

    def kernel(self, implementation: str, shape: Shape, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives a backend of torch's scaled_dot_product_attention, a package's kernel, or `flex`.

        Raises:
            Unsupported: It does not take this dtype or head dimension on this device, or its package is not there.
        """
        kind = TORCH_DTYPES[dtype]
        if implementation == "flex":
            from hyenaprof.operators.attention_flex import flex_kernel  # late: it brings torch's compiler along

            return flex_kernel(shape.length, shape.head_dimension, dtype=kind, device=device)
        if implementation not in {*BACKENDS, *PACKAGES, *ACTIVATED}:
            raise Unsupported(f"flash has no implementation {implementation!r}")
        return flash_kernel(implementation, shape.head_dimension, dtype=kind, device=device)

    def expected_ops(self, implementation: str, device_type: str) -> tuple[str, ...]:
        """The ops behind a pinned backend; none for a package, which is called by its own name."""
        if implementation == "sdpa" and device_type == "cpu":
            return ("aten::_scaled_dot_product_flash_attention_for_cpu",)
        return DISPATCHED.get(implementation, ())

    def cost(
        self,
        implementation: str,  # noqa: ARG002 -- there is one
        shape: Shape,
        scope: Scope,
        *,
        phase: Phase,
        dtype: DType,
    ) -> Cost:
        """Counts by the formulas of `attention_cost`."""
        return flash_cost(shape, scope, phase, itemsize_bytes=dtype.itemsize_bytes)


class StandardAttention(Attention):
    """Attention as first written down, the matrix of scores in memory (Vaswani et al. 2017, arXiv:1706.03762)."""

    def kernel(self, implementation: str, shape: Shape, *, dtype: DType, device: torch.device) -> Launcher:  # noqa: ARG002 -- it runs everything
        """Gives `math`; its causal mask is a constant, made here.

        Raises:
            Unsupported: No such implementation.
        """
        if implementation != "math":
            raise Unsupported(f"attention has no implementation {implementation!r}")
        future_LL = torch.ones(shape.length, shape.length, dtype=torch.bool, device=device).triu_(1)

        def standard_attention(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
            scores_BHLL = (q_BHLK / math.sqrt(q_BHLK.shape[-1])) @ k_BHLK.mT
            return scores_BHLL.masked_fill_(future_LL, -math.inf).softmax(-1) @ v_BHLK

        return standard_attention

    def cost(
        self,
        implementation: str,  # noqa: ARG002 -- there is one
        shape: Shape,
        scope: Scope,
        *,
        phase: Phase,
        dtype: DType,
    ) -> Cost:
        """Counts by the formulas of `attention_cost`."""
        return standard_cost(shape, scope, phase, itemsize_bytes=dtype.itemsize_bytes)


def attention_definition(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
    """softmax(q k / sqrt(K)) v over the past, one query after the other."""
    rows = []
    for t in range(q_BHLK.shape[2]):
        scores_BHS = (k_BHLK[:, :, : t + 1] * q_BHLK[:, :, t, None]).sum(-1) / math.sqrt(q_BHLK.shape[-1])
        weights_BHS = torch.exp(scores_BHS - scores_BHS.amax(-1, keepdim=True))
        mixed_BHK = (weights_BHS[..., None] * v_BHLK[:, :, : t + 1]).sum(2)
        rows.append(mixed_BHK / weights_BHS.sum(-1, keepdim=True))
    return torch.stack(rows, dim=2)
