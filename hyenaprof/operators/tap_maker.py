"""What makes the filters of a gated long-convolution layer, and what most such makers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hyenaprof.model import Shape
from hyenaprof.operators.base import Inputs
from hyenaprof.operators.chunked_layer import TapsOf
from hyenaprof.operators.windowed_taps import Window, all_windowed_taps, windowed_taps

MADE_AT_ONCE_BYTES = 16 * 2**20
"""Bytes of what some channels' taps are made of, beside the taps."""

Taps = Callable[..., Tensor]
"""Called with the filter's parameters unpacked; gives taps_ODL."""


class TapMaker(ABC):
    """A way to parametrise filters: O of them for each of D channels, at most L taps each."""

    most_taps: int | None = None
    """K, where filters are no longer than that however long the sequence is; None where they have L taps."""

    @abstractmethod
    def parameters(self, shape: Shape, generator: torch.Generator) -> Inputs:
        """Makes a NamedTuple of what the filter learns, in float32 on the CPU."""

    @abstractmethod
    def parameter_count(self, shape: Shape) -> int:
        """Learned numbers in all."""

    @abstractmethod
    def flops(self, shape: Shape) -> tuple[float, float]:
        """(forward, backward) FLOPs of making the filters once."""

    @abstractmethod
    def maker(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Taps:
        """Gives the function that makes the taps, its constants made; in any layout."""

    @abstractmethod
    def in_groups(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Callable[..., TapsOf]:
        """Gives a function that makes a function of channels: the same taps a few at a time, without gradients."""

    @abstractmethod
    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The taps again, for the float64 reference."""

    def channels_first(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Taps:
        """Gives a function that makes the same taps contiguous."""
        return self.maker(shape, dtype=dtype, device=device)

    def taps(self, length: int) -> int:
        """Taps of a filter for a sequence of this length: L, or K if that is less."""
        return length if self.most_taps is None else min(length, self.most_taps)

    def making_bytes(self, shape: Shape, *, learns: bool) -> float:  # noqa: ARG002 -- for makers to override
        """What making the taps takes at its peak, where that may be more than a layer takes afterwards."""
        return 0.0

    def saved_elements(self, shape: Shape) -> int:  # noqa: ARG002 -- for makers to override
        """Numbers that autograd keeps from making the filters, the taps themselves apart."""
        return 0

    def hidden_elements(self, shape: Shape) -> int:  # noqa: ARG002 -- for makers to override
        """Numbers that must be there to make the taps of any channels."""
        return 0


class ChannelTaps(TapMaker):
    """Filters of which each channel's is made of its own row of every parameter; one filter a channel."""

    @abstractmethod
    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The taps [C, K], contiguous, of some channels' rows of the parameters and the constants."""

    def constants(self, shape: Shape) -> tuple[Tensor, ...]:  # noqa: ARG002 -- for makers to override
        """What is not learned and has a row a channel, [D, ...] in float64."""
        return ()

    def spread(self, width: int, *parameters: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002 -- for makers to override
        """The parameters with a row for each of D channels."""
        return parameters

    def _rows(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> Callable[..., tuple[Tensor, ...]]:
        constants = tuple(constant.to(device, dtype) for constant in self.constants(shape))
        return lambda *parameters: (*self.spread(shape.width, *parameters), *constants)

    def maker(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Taps:
        """Gives the function that makes the taps [1, D, K], contiguous."""
        rows = self._rows(shape, dtype, device)
        return lambda *parameters: self.made(shape.length, *rows(*parameters))[None]

    def in_groups(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Callable[..., TapsOf]:
        """Gives a function that makes a function of channels, each of their rows alone."""
        rows = self._rows(shape, dtype, device)

        def prepared(*parameters: Tensor) -> TapsOf:
            given = rows(*parameters)
            return lambda channels: self.made(shape.length, *(row_DX[channels] for row_DX in given))[None]

        return prepared


class NetworkTaps(TapMaker):
    """Filters that are the outputs of one small network of the position, C = O D of them, laid out order by order.

    Attributes:
        orders: O, filters per channel.
    """

    orders: int

    @abstractmethod
    def hidden(self, *parameters: Tensor) -> Tensor:
        """The network before its last layer, [L, W]."""

    @abstractmethod
    def last(self, *parameters: Tensor) -> Tensor:
        """The weight [C, W] of the last layer."""

    def constants(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:  # noqa: ARG002
        """What is not learned, given to `hidden` after the parameters."""
        return ()

    def tabulated(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> Window | None:  # noqa: ARG002 -- to override
        """The window that the taps are under."""
        return None

    def maker(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Taps:
        """The contiguous taps."""
        return self.channels_first(shape, dtype=dtype, device=device)

    def channels_first(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Taps:
        """Gives the function that makes the taps contiguous, with little to remember for its gradients."""
        window, constants = self.tabulated(shape, dtype, device), self.constants(shape, dtype, device)

        def taps(*parameters: Tensor) -> Tensor:
            taps_CL = all_windowed_taps(self.hidden(*parameters, *constants), self.last(*parameters), window)
            return taps_CL.view(self.orders, shape.width, shape.length)

        return taps

    def in_groups(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Callable[..., TapsOf]:
        """Gives the function that makes a function that makes the taps of some channels only."""
        window, constants = self.tabulated(shape, dtype, device), self.constants(shape, dtype, device)

        def prepared(*parameters: Tensor) -> TapsOf:
            hidden_LW, last_CW = self.hidden(*parameters, *constants), self.last(*parameters)

            def taps(channels: slice) -> Tensor:
                starts = range(0, self.orders * shape.width, shape.width)
                outputs = [slice(start + channels.start, start + channels.stop) for start in starts]
                taps = [windowed_taps(hidden_LW, last_CW, window, part) for part in outputs]
                return torch.stack(taps) if len(taps) > 1 else taps[0][None]

            return taps

        return prepared


def channels_at_once(channel_bytes: float) -> int:
    """Of how many channels `remade` makes at once what takes so much for each."""
    return max(1, int(MADE_AT_ONCE_BYTES / channel_bytes))


def remade(make: Callable[..., Tensor], *rows_CX: Tensor, channel_bytes: float) -> Tensor:
    """What `make` gives for the rows, some channels at a time, and made again for its gradients: nothing of it stays.

    Args:
        make: Gives [C, X] of rows with C channels; differentiable.
        rows_CX: What it is made of.
        channel_bytes: What it takes for a channel, at its peak.
    """
    rows = channels_at_once(channel_bytes)
    parts = zip(*(torch.split(row_CX, rows) for row_CX in rows_CX), strict=True)
    if torch.is_grad_enabled():
        made = [checkpoint(make, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    else:
        made = [make(*part) for part in parts]
    return torch.cat(made) if len(made) > 1 else made[0]
