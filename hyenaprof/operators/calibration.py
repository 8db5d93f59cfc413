"""Two fixed amounts of work, one of arithmetic and one of memory traffic: what they take tells how a machine is today."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from hyenaprof.model import Cost, DType, Phase, Scope, Shape
from hyenaprof.operators import OperatorEntry
from hyenaprof.operators.base import TORCH_DTYPES, Inputs, Launcher, Operator, leaf, normal, of_phase, seeded


def _entry(exponent: float) -> OperatorEntry:
    return OperatorEntry("", ("plain",), family="calibration", exponent=exponent, paper="none", scopes=("core",))


class ProductInputs(NamedTuple):
    """A sequence and a square of weights."""

    x_BLD: Tensor
    weight_DD: Tensor


class Product(Operator):
    """Each token times a square of weights: the arithmetic of a large matrix product."""

    entry: ClassVar[OperatorEntry | None] = _entry(1.0)
    scopes = (Scope.CORE,)

    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:  # noqa: ARG002 -- there is one scope
        """The sequence [B, L, D] and weights [D, D]."""
        generator = seeded(seed)
        x_BLD = normal(shape.batch, shape.length, shape.width, generator=generator)
        weight_DD = normal(shape.width, shape.width, generator=generator) / shape.width**0.5
        kind = TORCH_DTYPES[dtype]
        return ProductInputs(leaf(x_BLD, kind, device), leaf(weight_DD, kind, device))

    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:  # noqa: ARG002 -- there is one
        """The product of torch."""
        return torch.matmul

    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:  # noqa: ARG002 -- there is one scope
        """The definition."""
        x_BLD, weight_DD = inputs
        return (x_BLD.unsqueeze(-1) * weight_DD).sum(-2)

    def cost(self, implementation: str, shape: Shape, scope: Scope, *, phase: Phase, dtype: DType) -> Cost:  # noqa: ARG002 -- there is one
        """2 B L D^2 FLOPs forward, twice that backward."""
        elements = shape.batch * shape.length * shape.width
        forward = 2.0 * elements * shape.width
        moved = float(dtype.itemsize_bytes * (2 * elements + shape.width**2))
        return Cost(
            flops=of_phase(phase, forward=forward, backward=2 * forward),
            bytes=of_phase(phase, forward=moved, backward=2 * moved),
            need_bytes=4 * moved,
            source="2 B L D^2, by definition",
        )


class CopyInputs(NamedTuple):
    """A sequence."""

    x_BLD: Tensor


class Copy(Operator):
    """A sequence written anew: memory traffic alone."""

    entry: ClassVar[OperatorEntry | None] = _entry(1.0)
    scopes = (Scope.CORE,)

    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:  # noqa: ARG002 -- there is one scope
        """The sequence [B, L, D]."""
        x_BLD = normal(shape.batch, shape.length, shape.width, generator=seeded(seed))
        return CopyInputs(leaf(x_BLD, TORCH_DTYPES[dtype], device))

    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:  # noqa: ARG002 -- there is one
        """The copy of torch."""
        return torch.clone

    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:  # noqa: ARG002 -- there is one scope
        """The definition."""
        return inputs[0].clone()

    def cost(self, implementation: str, shape: Shape, scope: Scope, *, phase: Phase, dtype: DType) -> Cost:  # noqa: ARG002 -- there is one
        """Each element read once and written once."""
        moved = 2.0 * shape.batch * shape.length * shape.width * dtype.itemsize_bytes
        return Cost(
            flops=0.0,
            bytes=of_phase(phase, forward=moved, backward=moved),
            need_bytes=2 * moved,
            source="each element read and written once",
        )
