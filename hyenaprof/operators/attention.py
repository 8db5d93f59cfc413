"""Causal attention: the standard one, which writes its scores to memory, and torch's flash kernel, which does not."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hyenaprof.errors import Unsupported
from hyenaprof.model import Cost, DType, Phase, Scope, Shape
from hyenaprof.operators.attention_checks import core_spot_checks, layer_spot_checks, sparse_cotangent
from hyenaprof.operators.attention_cost import flash_cost, standard_cost
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
    """Attention by torch's scaled_dot_product_attention, pinned to its flash kernel (Dao 2023, arXiv:2307.08691)."""

    def kernel(self, implementation: str, shape: Shape, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives `sdpa`.

        Raises:
            Unsupported: The flash kernel does not take this dtype or head dimension on this device.
        """
        if implementation != "sdpa":
            raise Unsupported(f"flash has no implementation {implementation!r}")
        _refuse_what_flash_refuses(shape.head_dimension, TORCH_DTYPES[dtype], device)
        return flash_attention

    def expected_ops(self, implementation: str, device_type: str) -> tuple[str, ...]:  # noqa: ARG002 -- there is one
        """The op behind the pinned backend."""
        suffix = "_for_cpu" if device_type == "cpu" else ""
        return (f"aten::_scaled_dot_product_flash_attention{suffix}",)

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


def flash_attention(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
    """Causal attention by torch's flash kernel and no other.

    Never with a mask: the causal flag alone is right beyond 65536 positions.
    """
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return functional.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)


def attention_definition(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
    """softmax(q k / sqrt(K)) v over the past, one query after the other."""
    rows = []
    for t in range(q_BHLK.shape[2]):
        scores_BHS = (k_BHLK[:, :, : t + 1] * q_BHLK[:, :, t, None]).sum(-1) / math.sqrt(q_BHLK.shape[-1])
        weights_BHS = torch.exp(scores_BHS - scores_BHS.amax(-1, keepdim=True))
        mixed_BHK = (weights_BHS[..., None] * v_BHLK[:, :, : t + 1]).sum(2)
        rows.append(mixed_BHK / weights_BHS.sum(-1, keepdim=True))
    return torch.stack(rows, dim=2)


def _refuse_what_flash_refuses(head_dimension: int, dtype: torch.dtype, device: torch.device) -> None:
    """Tries the kernel on a small problem; a refusal keeps torch's own words, which it gives as warnings."""
    q_BHLK = torch.zeros(1, 1, 8, head_dimension, dtype=dtype, device=device)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            flash_attention(q_BHLK, q_BHLK, q_BHLK)
        except RuntimeError as error:
            words = [str(error), *(str(warning.message) for warning in said)]
            raise Unsupported("; ".join(word.splitlines()[0] for word in words)) from error
