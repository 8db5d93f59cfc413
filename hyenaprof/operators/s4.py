"""S4: a state space with a diagonal plus low-rank transition for each channel, by its kernel's generating function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.model import OptionValue, Shape
from hyenaprof.operators.base import normal
from hyenaprof.operators.cauchy import cauchy_flops, generated_taps, making_bytes
from hyenaprof.operators.glu_layer import GluLayer
from hyenaprof.operators.legendre import discrete, legs, paired, through
from hyenaprof.operators.s4d import log_steps, refuse_odd
from hyenaprof.operators.tap_maker import ChannelTaps

LEAST_ROOTS = 64


class LowRankParameters(NamedTuple):
    """A = diag(-exp(decay) + i angle) - P P*, B and P for all channels, a time step and C (1 - A^M) for each; N / 2 each.

    Conjugates are not kept. That C comes with its last factor is how the authors' code learns it.
    """

    log_step_D: Tensor
    log_decay_N: Tensor
    angle_N: Tensor
    rank_real_N: Tensor
    rank_imag_N: Tensor
    entry_real_N: Tensor
    entry_imag_N: Tensor
    output_real_DN: Tensor
    output_imag_DN: Tensor


@dataclass(frozen=True)
class LowRankTaps(ChannelTaps):
    """Taps C A^t B of the bilinear discretisation, from the values of their generating function at the roots of unity.

    Attributes:
        states: N, even.
    """

    states: int

    def __post_init__(self) -> None:
        refuse_odd(self.states)

    def parameters(self, shape: Shape, generator: torch.Generator) -> LowRankParameters:
        """HiPPO-LegS in the basis in which its normal part is diagonal; C normal."""
        log_step_D = log_steps(shape.width, generator)
        transition_NN, entry_N, rank_N = legs(self.states)
        values_N, basis_NN = torch.linalg.eigh(
            -1j * (transition_NN + rank_N[:, None] * rank_N + torch.eye(self.states) / 2)
        )
        basis_NM = basis_NN[:, self.states // 2 :]  # positive angles; the others are their conjugates
        output_DN = normal(shape.width, self.states, generator=generator).double()
        steps_DNN = discrete(transition_NN, log_step_D.double().exp())
        left_DN = output_DN - through(output_DN, steps_DNN, roots(shape.length))
        output_DM, rank_M, entry_M = (row.to(basis_NM) @ basis_NM for row in (left_DN, rank_N, entry_N))
        made = (
            log_step_D,
            torch.full((self.states // 2,), 0.5).log(),
            values_N[self.states // 2 :],
            *(rank_M.real, -rank_M.imag),
            *(entry_M.real, -entry_M.imag),
            *(output_DM.real, output_DM.imag),
        )
        return LowRankParameters(*(tensor.float() for tensor in made))

    def parameter_count(self, shape: Shape) -> int:
        """D (1 + N) + 3 N."""
        return shape.width * (1 + self.states) + 3 * self.states

    def flops(self, shape: Shape) -> tuple[float, float]:
        """The generating function at L / 2 + 1 roots, and a real FFT of L points."""
        return cauchy_flops(shape.width, shape.length, self.states // 2)

    def making_bytes(self, shape: Shape, *, learns: bool) -> float:
        """The generating function of a few channels, and taps in float64."""
        return making_bytes(shape.width, roots(shape.length), self.states // 2, learns=learns)

    def spread(self, width: int, *parameters: Tensor) -> tuple[Tensor, ...]:
        """Shared rows for each channel."""
        given = LowRankParameters(*parameters)
        shared = (row_N.expand(width, -1) for row_N in given[1:7])
        return given.log_step_D, *shared, given.output_real_DN, given.output_imag_DN

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The taps by the Woodbury identity, in float64: in float32 the time step's gradient is off by up to 5e-5."""
        given = LowRankParameters(*(row_CX.double() for row_CX in rows_CX))
        step_C = given.log_step_D.exp()
        taps_CM = generated_taps(
            torch.complex(given.output_real_DN, given.output_imag_DN),
            torch.complex(given.entry_real_N, given.entry_imag_N),
            torch.complex(given.rank_real_N, given.rank_imag_N),
            step_C=step_C,
            rates=(-given.log_decay_N.exp() * step_C[:, None], given.angle_N * step_C[:, None]),
            points=roots(length),
        )
        return taps_CM[:, :length].to(rows_CX[0].dtype)

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The taps [1, D, L] again, by the recurrence of the dense state space with all conjugates written out."""
        given = LowRankParameters(*parameters)
        values_N = paired(torch.complex(-given.log_decay_N.exp(), given.angle_N))
        rank_N = paired(torch.complex(given.rank_real_N, given.rank_imag_N))
        entry_N = paired(torch.complex(given.entry_real_N, given.entry_imag_N))
        left_DN = paired(torch.complex(given.output_real_DN, given.output_imag_DN))
        transition_NN, step_D = torch.diag(values_N) - torch.outer(rank_N, rank_N.conj()), given.log_step_D.exp()
        step_DNN, identity_NN = discrete(transition_NN, step_D), torch.eye(self.states, dtype=values_N.dtype)
        whole_DNN = identity_NN - torch.linalg.matrix_power(step_DNN, roots(length))
        row_DN = torch.linalg.solve(whole_DNN.mT, left_DN.view(width, -1))
        half_DNN = identity_NN - step_D[:, None, None] / 2 * transition_NN
        first_DN = torch.linalg.solve(half_DNN, step_D[:, None] * entry_N)
        taps = []
        for _ in range(length):
            taps.append((row_DN * first_DN).sum(1).real)
            row_DN = (row_DN[:, None] @ step_DNN)[:, 0]
        return torch.stack(taps, dim=1)[None]


def roots(length: int) -> int:
    """M, the roots of unity that the generating function is evaluated at; a shorter sequence takes the first taps of M.

    At a single root the kernel would not depend on the time step, and its gradient would be rounding alone.
    """
    return max(length, LEAST_ROOTS)


class S4(GluLayer):
    """Structured state spaces (Gu et al. 2021, arXiv:2111.00396), HiPPO-LegS, A and B shared by all channels.

    Options:
        states: N, even.
    """

    source = "Gu et al. 2021, arXiv:2111.00396: Cauchy kernel by sums over conjugate pairs, real FFTs of 2L"

    def made_kernels(self, options: Mapping[str, OptionValue]) -> tuple[LowRankTaps, ...]:
        """One state space a channel."""
        return (LowRankTaps(states=int(options["states"])),)
