"""The projections that every layer has, the same on all sides: x to `parts` times the width, and back to the width."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.model import Shape
from hyenaprof.operators.base import normal, uniform


class LayerTensors(NamedTuple):
    """A layer's input and projection weights, first of what any layer draws from its generator."""

    x_BLD: Tensor
    in_weight_PD: Tensor
    in_bias_P: Tensor
    out_weight_DD: Tensor
    out_bias_D: Tensor


def layer_tensors(shape: Shape, parts: int, generator: torch.Generator) -> LayerTensors:
    """Makes x ~ N(0, 1) and projection weights as torch.nn.Linear does; equal for equal seeds, shapes and parts.

    Args:
        shape: Batch, length and width.
        parts: How many widths the input projection gives: 3 for q, k and v.
        generator: Fresh, so that layers with the same number of parts get the same tensors.
    """
    width = shape.width
    x_BLD = normal(shape.batch, shape.length, width, generator=generator)
    return LayerTensors(x_BLD, *linear(parts * width, width, generator), *linear(width, width, generator))


def linear(outputs: int, inputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weight [outputs, inputs] and bias [outputs], uniform within 1/sqrt(inputs) as in torch.nn.Linear."""
    bound = 1 / math.sqrt(inputs)
    return (
        uniform(outputs, inputs, bound=bound, generator=generator),
        uniform(outputs, bound=bound, generator=generator),
    )


def projection_flops(shape: Shape, parts: int) -> float:
    """FLOPs of both projections, forward: 2 (parts + 1) B L D^2; backward takes twice that."""
    return 2.0 * (parts + 1) * shape.batch * shape.length * shape.width**2


def projection_bytes(shape: Shape, parts: int, itemsize_bytes: int) -> float:
    """Bytes of both projections, forward, beyond what lies between them: read x, write P, read y, write out, weights."""
    width = shape.width
    activations = (parts + 3) * shape.batch * shape.length * width
    return float((activations + (parts + 1) * width * (width + 1)) * itemsize_bytes)


def projection_parameters(width: int, parts: int) -> int:
    """Weights and biases of both projections: (parts + 1) (D^2 + D)."""
    return (parts + 1) * (width * width + width)
