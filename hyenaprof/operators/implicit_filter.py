"""Hyena's long filters: a small sine network of the position, under an exponential window.

The filters of all O = N - 1 long convolutions come from one network with C = O D outputs, laid out order by order,
'(o d)', as in the standalone implementation of the paper's authors. (Their full class lays them out '(d o)': the same for
order 2, not interchangeable above.) The window's rates run over all C outputs, as there.

Source: Poli et al. 2023, "Hyena Hierarchy", section 3.3, arXiv:2302.10866.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.errors import OperatorError
from hyenaprof.model import Shape
from hyenaprof.operators.projections import linear
from hyenaprof.operators.tap_maker import NetworkTaps
from hyenaprof.operators.windowed_taps import Window

FAST_RATE = math.log(100) / 0.3
SLOW_RATE = math.log(100) / 1.5
"""Decay per sequence length: the window falls to 1 % after 0.3 of it in the last output, after 1.5 in the first."""


class FilterParameters(NamedTuple):
    """What the filter network learns; the positional features are learned too, as in the authors' code."""

    features_LE: Tensor
    first_weight_WE: Tensor
    first_bias_W: Tensor
    inner_weight_IWW: Tensor
    inner_bias_IW: Tensor
    last_weight_CW: Tensor
    frequency_W: Tensor
    """One vector that all sine layers share."""


@dataclass(frozen=True)
class ImplicitFilter(NetworkTaps):
    """The network's settings.

    Attributes:
        orders: O, filters per channel.
        embedding: E = 1 + 2 bands; odd.
        frequency: Where the learned frequencies of the sines start.
        width: W of the network.
        depth: Linear layers in all, the first and the last included.
        window: Whether taps decay exponentially.
    """

    orders: int
    embedding: int
    frequency: float
    width: int
    depth: int
    window: bool

    def __post_init__(self) -> None:
        if self.embedding < 3 or self.embedding % 2 == 0:
            raise OperatorError(
                f"hyena.embedding={self.embedding} is not odd and at least 3", hint="it is 1 + 2 bands: 3, 5, 33"
            )
        if self.depth < 2 or self.width < 1:
            raise OperatorError(
                f"hyena.filter_depth={self.depth}, hyena.filter_width={self.width} make no network",
                hint="filter_depth is at least 2, filter_width at least 1",
            )

    def parameters(self, shape: Shape, generator: torch.Generator) -> FilterParameters:
        """Makes the network as torch.nn.Linear is initialised, in float32 on the CPU."""
        inner = [linear(self.width, self.width, generator) for _ in range(self.depth - 2)]
        first_weight_WE, first_bias_W = linear(self.width, self.embedding, generator)
        last_weight_CW, _ = linear(self.orders * shape.width, self.width, generator)
        return FilterParameters(
            features_LE=positional_features(shape.length, self.embedding),
            first_weight_WE=first_weight_WE,
            first_bias_W=first_bias_W,
            inner_weight_IWW=_stacked([weight for weight, _ in inner], (self.width, self.width)),
            inner_bias_IW=_stacked([bias for _, bias in inner], (self.width,)),
            last_weight_CW=last_weight_CW,
            frequency_W=torch.full((self.width,), self.frequency),
        )

    def parameter_count(self, shape: Shape) -> int:
        """EW + W + I (W^2 + W) + W + W C + E L, the last for the features."""
        inner = (self.depth - 2) * (self.width**2 + self.width)
        outputs = self.orders * shape.width
        return self.embedding * (self.width + shape.length) + 2 * self.width + inner + self.width * outputs

    def saved_elements(self, shape: Shape) -> int:
        """3 (I + 1) L W: of each hidden layer its value before the frequency, after it, and its sine."""
        return 3 * (self.depth - 1) * shape.length * self.width

    def hidden_elements(self, shape: Shape) -> int:
        """L W: the last hidden layer."""
        return shape.length * self.width

    def flops(self, shape: Shape) -> tuple[float, float]:
        """(forward, backward) FLOPs of one filter, whatever the batch.

        Forward: 2 L (E W + I W^2 + W C) for the network, (I + 1) L W sines, L C exponentials; backward: twice the
        network, and the sines and exponentials once more.
        """
        inner, outputs = self.depth - 2, self.orders * shape.width
        network = 2.0 * shape.length * self.width * (self.embedding + inner * self.width + outputs)
        pointwise = float(shape.length * ((inner + 1) * self.width + (outputs if self.window else 0)))
        return network + pointwise, 2 * network + pointwise

    def maker(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Callable[..., Tensor]:
        """Gives the function that makes the taps [O, D, L], positions first as in the authors' code: a strided view."""
        places_L1 = torch.linspace(0, 1, shape.length, dtype=torch.float64)[:, None].to(device, dtype)
        rates = torch.linspace(SLOW_RATE, FAST_RATE, self.orders * shape.width, dtype=torch.float64)
        rates_C = rates.to(device, dtype)

        def taps(*parameters: Tensor) -> Tensor:
            given = FilterParameters(*parameters)
            taps_LC = functional.linear(self.hidden(*parameters), given.last_weight_CW)
            if self.window:
                taps_LC = taps_LC * torch.exp(-places_L1 * rates_C)
            return taps_LC.view(shape.length, self.orders, shape.width).permute(1, 2, 0)

        return taps

    def tabulated(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> Window | None:
        """The exponential window, tabulated."""
        if not self.window:
            return None
        rates_C = torch.linspace(SLOW_RATE, FAST_RATE, self.orders * shape.width, dtype=torch.float64)
        return Window.of(rates_C, shape.length, dtype, device)

    def last(self, *parameters: Tensor) -> Tensor:
        """The weight of the last layer, [C, W]."""
        return FilterParameters(*parameters).last_weight_CW

    def hidden(self, *parameters: Tensor) -> Tensor:
        """The network's last hidden layer, [L, W]."""
        given = FilterParameters(*parameters)
        hidden_LW = _sine(functional.linear(given.features_LE, given.first_weight_WE, given.first_bias_W), given)
        for weight_WW, bias_W in zip(given.inner_weight_IWW, given.inner_bias_IW, strict=True):
            hidden_LW = _sine(functional.linear(hidden_LW, weight_WW, bias_W), given)
        return hidden_LW

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [O, D, L] again, output by output and written out, for the float64 reference."""
        given = FilterParameters(*parameters)
        outputs = given.last_weight_CW.shape[0]
        layers = [
            (given.first_weight_WE, given.first_bias_W),
            *zip(given.inner_weight_IWW, given.inner_bias_IW, strict=True),
        ]
        state_LX = given.features_LE
        for weight, bias in layers:
            state_LX = torch.sin(given.frequency_W * ((state_LX[:, None, :] * weight).sum(-1) + bias))
        taps_CL = (state_LX[None] * given.last_weight_CW[:, None, :]).sum(-1)
        if self.window:
            step, rise = 1 / max(1, length - 1), (FAST_RATE - SLOW_RATE) / max(1, outputs - 1)
            windows = [[math.exp(-t * step * (SLOW_RATE + c * rise)) for t in range(length)] for c in range(outputs)]
            taps_CL = taps_CL * taps_CL.new_tensor(windows)
        return taps_CL.reshape(self.orders, width, length)


def positional_features(length: int, embedding: int) -> Tensor:
    """Features [L, E] of each position t: t' from 0 to 1, then cos and -sin of 2 pi t f / L for each band f.

    The bands f run evenly from 1e-4 to (E - 1) / 2 - 1. Computed in float64: a phase near 1M loses digits in float32.
    """
    bands = (embedding - 1) // 2
    place_L1 = torch.linspace(0, 1, length, dtype=torch.float64)[:, None]
    phase_L1 = 2 * math.pi * torch.arange(length, dtype=torch.float64)[:, None] / length
    turns_LF = phase_L1 * torch.linspace(1e-4, bands - 1, bands, dtype=torch.float64)
    return torch.cat([place_L1, torch.cos(turns_LF), -torch.sin(turns_LF)], dim=1).float()


def _sine(values_LW: Tensor, given: FilterParameters) -> Tensor:
    return torch.sin(given.frequency_W * values_LW)


def _stacked(tensors: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    return torch.stack(tensors) if tensors else torch.empty(0, *sizes)
