"""What an operator is: a generator of inputs outside the timed region and a launcher inside it.

Tensors end in their dimensions: B batch, L length, D width, H heads, K head dimension D / H, N state size,
F frequencies of an rfft, E embedding, W filter network width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from hyenaprof.model import Cost, DType, OptionValue, Phase, Scope, Shape

Inputs = tuple[Tensor, ...]
"""A NamedTuple of tensors: its field names are the names of inputs and weights in checks and errors."""
Launcher = Callable[..., Tensor]

TORCH_DTYPES: dict[DType, torch.dtype] = {
    DType.FLOAT64: torch.float64,
    DType.FLOAT32: torch.float32,
    DType.BFLOAT16: torch.bfloat16,
    DType.FLOAT16: torch.float16,
}


class Operator(ABC):
    """An operator with its options; implementations differ only in what `build` returns.

    Everything learned is an input: `inputs` gives activations and weights alike, so that all implementations and the
    reference run on the very same tensors and every gradient has a name.

    Args:
        options: Every option of the table's entry, defaults filled in.
    """

    scopes: tuple[Scope, ...] = (Scope.CORE, Scope.LAYER)

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

    def causal_axes(self, scope: Scope) -> tuple[int, int] | None:  # noqa: ARG002 -- for operators to override
        """(length axis of the first input, length axis of the output); None where the operator is not causal."""
        return (1, 1)


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU: the same values for every device, moved there by the caller."""
    return torch.Generator(device="cpu").manual_seed(seed)
