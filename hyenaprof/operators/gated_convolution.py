"""The layer of Hyena and of its relatives: projections, short filter, gates and long convolutions of any filters.

Streams x_0 .. x_{N-1} and v leave the short filter in this order, v last. With filters h_o and skips b_o,

    v <- h_o * (x v) + b_o (x v)    for x = x_{N-1}, .., x_1,    and    y = x_0 v at the end:

gate first, then convolve; N gates and N - 1 long convolutions. (Definition 3.1 of the paper has N long convolutions; its
authors' code, which this follows, lets the short filter take the place of one.)

Source: Poli et al. 2023, "Hyena Hierarchy", arXiv:2302.10866; the recurrence as in the authors' standalone code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.model import Shape
from hyenaprof.operators.base import normal, uniform
from hyenaprof.operators.convolution import (
    direct_long_convolution,
    direct_short_convolution,
    long_convolution,
    short_convolution,
)
from hyenaprof.operators.projections import LayerTensors


class MixingWeights(NamedTuple):
    """What is learned between the projections, the filters apart."""

    short_weight_PT: Tensor
    short_bias_P: Tensor
    skip_OD: Tensor


def mixing_weights(shape: Shape, order: int, taps: int, generator: torch.Generator) -> MixingWeights:
    """Short filters as torch.nn.Conv1d is initialised, uniform within 1/sqrt(taps); skips N(0, 1)."""
    channels = (order + 1) * shape.width
    return MixingWeights(
        short_weight_PT=uniform(channels, taps, bound=1 / math.sqrt(taps), generator=generator),
        short_bias_P=uniform(channels, bound=1 / math.sqrt(taps), generator=generator),
        skip_OD=normal(order - 1, shape.width, generator=generator),
    )


def streams(z_BPL: Tensor, width: int) -> tuple[list[Tensor], Tensor]:
    """Splits channels into the gates [x_0, .., x_{N-1}] and v, each [B, D, L]."""
    *gates, v_BDL = torch.split(z_BPL, width, dim=1)
    return gates, v_BDL


def plain_core(z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights) -> Tensor:
    """From what the input projection gives, channels first, to what the output projection takes: [B, D, L]."""
    gates, v_BDL = streams(short_convolution(z_BPL, weights.short_weight_PT, weights.short_bias_P), taps_ODL.shape[1])
    for taps_DL, skip_D, gate_BDL in zip(taps_ODL, weights.skip_OD, reversed(gates[1:]), strict=True):
        v_BDL = v_BDL * gate_BDL
        v_BDL = long_convolution(v_BDL, taps_DL) + skip_D[:, None] * v_BDL
    return gates[0] * v_BDL


Core = Callable[[Tensor, Tensor, MixingWeights], Tensor]
"""`plain_core`, or what takes its place."""


def plain_layer(tensors: LayerTensors, weights: MixingWeights, taps_ODL: Tensor, *, core: Core = plain_core) -> Tensor:
    """The whole layer, x [B, L, D] to [B, L, D], given the filters."""
    z_BLP = functional.linear(tensors.x_BLD, tensors.in_weight_PD, tensors.in_bias_P)
    y_BDL = core(z_BLP.transpose(1, 2), taps_ODL, weights)
    return functional.linear(y_BDL.transpose(1, 2), tensors.out_weight_DD, tensors.out_bias_D)


def core_definition(z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights) -> Tensor:
    """The core again, convolutions lag by lag, for the float64 reference."""
    short_BPL = direct_short_convolution(z_BPL, weights.short_weight_PT, weights.short_bias_P)
    order, width = taps_ODL.shape[0] + 1, taps_ODL.shape[1]
    stream = [short_BPL[:, width * index : width * (index + 1)] for index in range(order + 1)]
    v_BDL = stream[order]
    for o in range(order - 1):
        gated_BDL = stream[order - 1 - o] * v_BDL
        v_BDL = direct_long_convolution(gated_BDL, taps_ODL[o]) + weights.skip_OD[o][None, :, None] * gated_BDL
    return stream[0] * v_BDL


def layer_definition(tensors: LayerTensors, weights: MixingWeights, taps_ODL: Tensor) -> Tensor:
    """The layer again, in matrix products and sums, for the float64 reference."""
    z_BLP = tensors.x_BLD @ tensors.in_weight_PD.T + tensors.in_bias_P
    y_BDL = core_definition(z_BLP.mT, taps_ODL, weights)
    return y_BDL.mT @ tensors.out_weight_DD.T + tensors.out_bias_D
