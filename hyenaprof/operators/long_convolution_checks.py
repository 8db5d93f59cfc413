"""Checks of a long-convolution core at the length that is timed, in O(L log L) time and O(L) memory a channel.

In the core no channel touches another, so a few whole channels, gradients and all, can be done again in float64. That
uses an FFT too, of double the digits; where there is one long convolution, single values are summed directly beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.operators.base import Inputs, SpotCheck, carries_length, fields_of, quantity_name, seeded
from hyenaprof.operators.convolution import direct_short_convolution
from hyenaprof.operators.gated_convolution import MixingWeights, plain_core

CHANNELS = 4
POSITIONS = 8


def core_spot_checks(
    inputs: Inputs, *, output: Tensor, cotangent: Tensor, gradients: Mapping[str, Tensor], seed: int
) -> Iterator[SpotCheck]:
    """Gives whole rows of the first, the last and some random channels, then single sums.

    Args:
        inputs: z, taps, short weight, short bias, skip: a `CoreInputs`.
        output: y_BDL.
        cotangent: Its gradient.
        gradients: By input; empty where only the output is to be checked.
        seed: Chooses channels and positions.
    """
    width, length = output.shape[1:]
    generator = seeded(seed)
    drawn = torch.randint(width, (CHANNELS - 2,), generator=generator).tolist()
    channels = torch.tensor(sorted({0, width - 1, *drawn}), device=output.device)
    given = [tensor.requires_grad_() for tensor in _sliced(inputs, channels, width)]
    y_BXL = plain_core(given[0], given[1], MixingWeights(*given[2:]))
    yield SpotCheck("output", output[:, channels], y_BXL.detach())
    dy_BXL = cotangent[:, channels].double()
    if gradients:
        got = _sliced(tuple(gradients[field] for field in fields_of(inputs)), channels, width)
        for field, mine, theirs in zip(fields_of(inputs), torch.autograd.grad(y_BXL, given, dy_BXL), got, strict=True):
            yield SpotCheck(f"gradient of {quantity_name(field)}", theirs, mine, cancels=not carries_length(field))
    if len(inputs[1]) > 1:
        return
    positions = [0, length - 1, *torch.randint(length, (POSITIONS - 2,), generator=generator).tolist()]
    with torch.no_grad():
        yield from _direct_sums(_Channels(given, dy_BXL), channels, positions, output=output, gradients=gradients)


def _sliced(tensors: Inputs, channels: Tensor, width: int) -> list[Tensor]:
    """The same problem with some of its channels only, in float64."""
    z_BPL, taps_ODL, short_weight_PT, short_bias_P, skip_OD = tensors
    streams = torch.cat([channels + width * stream for stream in range(z_BPL.shape[1] // width)])
    parts = (z_BPL[:, streams], taps_ODL[:, channels], short_weight_PT[streams], short_bias_P[streams])
    return [part.detach().double() for part in (*parts, skip_OD[:, channels])]


class _Channels:
    """Order 2 by name: y = x0 c, c = h * u + b u, u = x1 v."""

    def __init__(self, given: list[Tensor], dy_BXL: Tensor) -> None:
        z_BPL, taps_ODL, weight_PT, bias_P, skip_OD = given
        self.x0_BXL, self.x1_BXL, v_BXL = direct_short_convolution(z_BPL, weight_PT, bias_P).chunk(3, dim=1)
        self.u_BXL = self.x1_BXL * v_BXL
        self.dc_BXL = self.x0_BXL * dy_BXL
        self.taps, self.skip_X = taps_ODL.shape[-1], skip_OD[0]
        self.taps_XL = functional.pad(taps_ODL[0], (0, z_BPL.shape[-1] - self.taps))
        self.v_weight_XT = weight_PT.chunk(3)[2]

    def output(self, t: int) -> Tensor:
        """y[:, :, t] as one sum over the past."""
        past = (self.taps_XL[:, : t + 1].flip(-1) * self.u_BXL[..., : t + 1]).sum(-1)
        return self.x0_BXL[..., t] * (past + self.skip_X * self.u_BXL[..., t])

    def du(self, s: int) -> Tensor:
        """The gradient of u[:, :, s] as one sum over the future; zero beyond the end."""
        if s >= self.dc_BXL.shape[-1]:
            return torch.zeros_like(self.dc_BXL[..., 0])
        future = (self.taps_XL[:, : self.dc_BXL.shape[-1] - s] * self.dc_BXL[..., s:]).sum(-1)
        return future + self.skip_X * self.dc_BXL[..., s]

    def dz_v(self, s: int) -> Tensor:
        """The gradient of z's v channels at s: each tap of the short filter leads to one gradient of v."""
        taps, last = self.v_weight_XT.shape[1], self.x1_BXL.shape[-1] - 1
        reached = [(tap, s + taps - 1 - tap) for tap in range(taps)]
        return sum(
            (self.v_weight_XT[:, tap] * self.x1_BXL[..., min(t, last)] * self.du(t) for tap, t in reached),
            start=torch.zeros_like(self.x1_BXL[..., 0]),
        )

    def dtaps(self, lag: int) -> Tensor:
        """The gradient of tap `lag` as one sum over the sequence and the batch."""
        length = self.u_BXL.shape[-1]
        return (self.dc_BXL[..., lag:] * self.u_BXL[..., : length - lag]).sum((0, -1))


def _direct_sums(
    rows: _Channels, channels: Tensor, positions: list[int], *, output: Tensor, gradients: Mapping[str, Tensor]
) -> Iterator[SpotCheck]:
    def stacked(values: list[Tensor]) -> Tensor:
        return torch.stack(values, dim=-1)

    at = torch.tensor(positions, device=output.device)
    yield SpotCheck("output by direct sums", output[:, channels][..., at], stacked([rows.output(t) for t in positions]))
    if not gradients:
        return
    dv_BXL = gradients["z_BPL"][:, channels + 2 * output.shape[1]]
    yield SpotCheck("gradient of v by direct sums", dv_BXL[..., at], stacked([rows.dz_v(s) for s in positions]))
    dtaps_XK, lags = gradients["taps_ODL"][0, channels], [position % rows.taps for position in positions]
    yield SpotCheck("gradient of taps by direct sums", dtaps_XK[:, lags], stacked([rows.dtaps(lag) for lag in lags]))
