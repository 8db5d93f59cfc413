"""Checks of causal attention at the length that is timed, without an L x L matrix.

A query's row needs all keys, and its share of the gradients is O(L). So any row of the output and of dq can be done again
in float64; dk and dv too where few queries reach them: in the last positions, or everywhere once the gradient of the
output is zero but for a few rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.operators.base import Inputs, SpotCheck, quantity_name, seeded

ROWS = 16
LAST = 64
HEADS = 2


class _Rows(NamedTuple):
    """What some queries of one head give: their outputs, their dq, and their shares of all dk and dv."""

    output_RK: Tensor
    dq_RK: Tensor
    dk_LK: Tensor
    dv_LK: Tensor


def _attend(q_RK: Tensor, k_LK: Tensor, v_LK: Tensor, dy_RK: Tensor, at_R: Tensor) -> _Rows:
    """Attention of the queries at positions `at_R`, and its adjoint, in float64."""
    scale = 1 / math.sqrt(q_RK.shape[1])
    future_RL = torch.arange(len(k_LK), device=k_LK.device) > at_R[:, None]
    weights_RL = (scale * q_RK @ k_LK.T).masked_fill(future_RL, -math.inf).softmax(-1)
    output_RK = weights_RL @ v_LK
    dscores_RL = weights_RL * (dy_RK @ v_LK.T - (dy_RK * output_RK).sum(-1, keepdim=True))
    return _Rows(output_RK, scale * dscores_RL @ k_LK, scale * dscores_RL.T @ q_RK, weights_RL.T @ dy_RK)


def sampled_rows(length: int, seed: int) -> Tensor:
    """Up to ROWS positions in order, the first and the last among them."""
    drawn = torch.randint(length, (ROWS - 2,), generator=seeded(seed)).tolist()
    return torch.tensor(sorted({0, length - 1, *drawn}))


def sparse_cotangent(output_BLD: Tensor, seed: int) -> Tensor:
    """Seeded normals at sampled positions, zero elsewhere."""
    at_R = sampled_rows(output_BLD.shape[1], seed)
    values = torch.randn(len(output_BLD), len(at_R), output_BLD.shape[2], generator=seeded(seed))
    cotangent_BLD = torch.zeros_like(output_BLD)
    cotangent_BLD[:, at_R.to(output_BLD.device)] = values.to(output_BLD.device, output_BLD.dtype)
    return cotangent_BLD


def core_spot_checks(
    inputs: Inputs, *, output: Tensor, cotangent: Tensor, gradients: Mapping[str, Tensor], seed: int
) -> Iterator[SpotCheck]:
    """Gives sampled rows of the output and of dq, and dk and dv of the last 64 positions, for some heads."""
    batch, heads, length, _ = output.shape
    rows_R = sampled_rows(length, seed).to(output.device)
    last_R = torch.arange(max(0, length - LAST), length, device=output.device)
    drawn = torch.randint(batch * heads, (HEADS - 1,), generator=seeded(seed)).tolist()
    for index in sorted({batch * heads - 1, *drawn}):
        at = divmod(index, heads)
        q_LK, k_LK, v_LK, dy_LK = (tensor[at].detach().double() for tensor in (*inputs, cotangent))
        rows = _attend(q_LK[rows_R], k_LK, v_LK, dy_LK[rows_R], rows_R)
        yield SpotCheck("output", output[at][rows_R], rows.output_RK)
        if not gradients:
            continue
        yield SpotCheck("gradient of q", gradients["q_BHLK"][at][rows_R], rows.dq_RK, cancels=True)
        last = _attend(q_LK[last_R], k_LK, v_LK, dy_LK[last_R], last_R)
        yield SpotCheck("gradient of k", gradients["k_BHLK"][at][last_R], last.dk_LK[last_R], cancels=True)
        yield SpotCheck("gradient of v", gradients["v_BHLK"][at][last_R], last.dv_LK[last_R], cancels=True)


def layer_spot_checks(
    inputs: Inputs, *, output: Tensor, cotangent: Tensor, gradients: Mapping[str, Tensor]
) -> Iterator[SpotCheck]:
    """Gives the output at the rows where the cotangent is not zero, and from these rows every gradient, whole.

    Takes memory for two [L, D] in float64, and for few more [L, K].
    """
    at_R = cotangent.abs().amax((0, 2)).nonzero()[:, 0]
    weights = [tensor.detach().double() for tensor in inputs[1:]]
    totals = [torch.zeros_like(weight) for weight in weights]
    for b, x_LD in enumerate(inputs[0].detach()):
        dout_RD = cotangent[b, at_R].double()
        out_RD, dx_LD = _layer_rows(x_LD.double(), weights, totals, at_R, dout_RD)
        yield SpotCheck("output", output[b, at_R], out_RD)
        if gradients:
            yield SpotCheck("gradient of x", gradients["x_BLD"][b], dx_LD)
    names = ("in_weight_3HKD", "in_bias_3HK", "out_weight_DD", "out_bias_D")
    for name, total in zip(names, totals, strict=True):
        if gradients:
            yield SpotCheck(f"gradient of {quantity_name(name)}", gradients[name], total)


def _layer_rows(
    x_LD: Tensor, weights: list[Tensor], totals: list[Tensor], at_R: Tensor, dout_RD: Tensor
) -> tuple[Tensor, Tensor]:
    """(output rows, dx) of one sequence, head after head; adds its weights' gradients to `totals`."""
    in_weight_3HKD, in_bias_3HK, out_weight_DD, out_bias_D = weights
    dy_RHK = (dout_RD @ out_weight_DD).view(len(at_R), *in_bias_3HK.shape[1:])
    y_RHK, dx_LD = torch.empty_like(dy_RHK), torch.zeros_like(x_LD)
    for h in range(in_bias_3HK.shape[1]):
        q_LK, k_LK, v_LK = (x_LD @ in_weight_3HKD[part, h].T + in_bias_3HK[part, h] for part in range(3))
        rows = _attend(q_LK[at_R], k_LK, v_LK, dy_RHK[:, h], at_R)
        y_RHK[:, h] = rows.output_RK
        dq_LK = torch.zeros_like(q_LK).index_copy_(0, at_R, rows.dq_RK)
        for part, gradient_LK in enumerate((dq_LK, rows.dk_LK, rows.dv_LK)):
            totals[0][part, h] += gradient_LK.T @ x_LD
            totals[1][part, h] += gradient_LK.sum(0)
            dx_LD += gradient_LK @ in_weight_3HKD[part, h]
    y_RD = y_RHK.flatten(1)
    totals[2] += dout_RD.T @ y_RD
    totals[3] += dout_RD.sum(0)
    return y_RD @ out_weight_DD.T + out_bias_D, dx_LD
