"""The yardstick: Hyena as a textbook would write it, in the layout of the paper's public code. Frozen; do not speed it up.

Positions first everywhere until the short filter, a grouped conv1d on the transposed view, filters [L, C] transposed last,
real FFTs of 2L points, and autograd for all gradients. Written from the definition (Poli et al. 2023, "Hyena Hierarchy",
arXiv:2302.10866). It takes the same tensors as `hyena:fft` and `hyena:chunked`, in the same order.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


class TextbookHyena:
    """A layer for sequences of one length.

    Args:
        length: L.
        width: D.
        order: N, with N - 1 long convolutions.
    """

    def __init__(self, length: int, width: int, order: int = 2) -> None:
        self.width = width
        self.order = order
        self.times_1L1 = torch.linspace(0, 1, length)[None, :, None]
        slow, fast = math.log(1e-2) / 1.5, math.log(1e-2) / 0.3
        self.deltas_11C = torch.linspace(slow, fast, width * (order - 1))[None, None]

    def __call__(  # noqa: PLR0917 -- the layer's tensors, as they come
        self,
        x_BLD: Tensor,
        in_weight_PD: Tensor,
        in_bias_P: Tensor,
        out_weight_DD: Tensor,
        out_bias_D: Tensor,
        short_weight_PT: Tensor,
        short_bias_P: Tensor,
        skip_OD: Tensor,
        features_LE: Tensor,
        first_weight_WE: Tensor,
        first_bias_W: Tensor,
        inner_weight_IWW: Tensor,
        inner_bias_IW: Tensor,
        last_weight_CW: Tensor,
        frequency_W: Tensor,
    ) -> Tensor:
        """Gives y [B, L, D]."""
        length = x_BLD.shape[1]
        z_BPL = functional.linear(x_BLD, in_weight_PD, in_bias_P).transpose(1, 2)
        channels, taps = short_weight_PT.shape
        short_BPL = functional.conv1d(z_BPL, short_weight_PT[:, None], short_bias_P, padding=taps - 1, groups=channels)[
            ..., :length
        ]
        *gates, v_BDL = short_BPL.split(self.width, dim=1)

        hidden_1LW = torch.sin(frequency_W * functional.linear(features_LE[None], first_weight_WE, first_bias_W))
        for weight_WW, bias_W in zip(inner_weight_IWW, inner_bias_IW, strict=True):
            hidden_1LW = torch.sin(frequency_W * functional.linear(hidden_1LW, weight_WW, bias_W))
        filters_1LC = functional.linear(hidden_1LW, last_weight_CW)
        filters_1LC = filters_1LC * torch.exp(-self.times_1L1 * self.deltas_11C.abs())
        filters_ODL = filters_1LC[0].unflatten(1, (self.order - 1, self.width)).permute(1, 2, 0)

        for o, gate_BDL in enumerate(reversed(gates[1:])):
            v_BDL = convolve(v_BDL * gate_BDL, filters_ODL[o], skip_OD[o])
        y_BLD = (v_BDL * gates[0]).transpose(1, 2)
        return functional.linear(y_BLD, out_weight_DD, out_bias_D)


def convolve(u_BDL: Tensor, filter_DL: Tensor, skip_D: Tensor) -> Tensor:
    """Causal convolution over 2L points, and the skip."""
    length = u_BDL.shape[-1]
    points = 2 * length
    filter_DF = torch.fft.rfft(filter_DL, n=points) / points
    u_BDF = torch.fft.rfft(u_BDL, n=points)
    y_BDL = torch.fft.irfft(u_BDF * filter_DF, n=points, norm="forward")[..., :length]
    return y_BDL + u_BDL * skip_D[:, None]
