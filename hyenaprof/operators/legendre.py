"""The state space of Legendre polynomials (HiPPO-LegS), discretised, and pairs of conjugates.

Source: Gu et al. 2020, "HiPPO: Recurrent Memory with Optimal Polynomial Projections", arXiv:2008.07669; the low rank that
makes its transition normal: Gu et al. 2021, arXiv:2111.00396, theorem 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def legs(states: int) -> tuple[Tensor, Tensor, Tensor]:
    """HiPPO-LegS: A [N, N], B [N], and P [N] such that A + P P^T is normal; float64."""
    n_N = torch.arange(states, dtype=torch.float64)
    entry_N = torch.sqrt(2 * n_N + 1)
    transition_NN = -torch.tril(torch.outer(entry_N, entry_N), -1) - torch.diag(n_N + 1)
    return transition_NN, entry_N, torch.sqrt(n_N + 0.5)


def discrete(transition_NN: Tensor, step_D: Tensor) -> Tensor:
    """(1 - dt/2 A)^-1 (1 + dt/2 A) for each time step, [D, N, N]."""
    identity_NN = torch.eye(len(transition_NN), dtype=transition_NN.dtype, device=transition_NN.device)
    half_DNN = step_D[:, None, None] / 2 * transition_NN
    steps_DNN: Tensor = torch.linalg.solve(identity_NN - half_DNN, identity_NN + half_DNN)
    return steps_DNN


def through(row_DN: Tensor, step_DNN: Tensor, times: int) -> Tensor:
    """A row after so many steps, by repeated squaring."""
    steps_DNN: Tensor = torch.linalg.matrix_power(step_DNN, times)
    return (row_DN[:, None] @ steps_DNN)[:, 0]


def paired(half_XN: Tensor) -> Tensor:
    """Numbers and their conjugates."""
    return torch.cat([half_XN, half_XN.conj()], dim=-1)
