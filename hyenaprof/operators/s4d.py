"""S4D: a diagonal state space for each channel, run as a convolution with its impulse response."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.errors import OperatorError
from hyenaprof.model import OptionValue, Shape
from hyenaprof.operators.base import normal
from hyenaprof.operators.glu_layer import GluLayer
from hyenaprof.operators.modal import modal_flops, turning_modal_taps
from hyenaprof.operators.tap_maker import ChannelTaps

LEAST_STEP, MOST_STEP = 0.001, 0.1
"""Between which time steps start, evenly in their logarithm."""


class DiagonalParameters(NamedTuple):
    """Time step, N / 2 eigenvalues -exp(decay) + i angle, and their outputs, of which the conjugates are not kept."""

    log_step_D: Tensor
    log_decay_DN: Tensor
    angle_DN: Tensor
    output_real_DN: Tensor
    output_imag_DN: Tensor


def refuse_odd(states: int) -> None:
    """Eigenvalues come in pairs.

    Raises:
        OperatorError: So many do not.
    """
    if states % 2:
        raise OperatorError(f"states={states} is odd", hint="each eigenvalue stands for itself and its conjugate: 64")


def log_steps(width: int, generator: torch.Generator) -> Tensor:
    """Logarithms of the first time steps, [D]."""
    low, high = math.log(LEAST_STEP), math.log(MOST_STEP)
    return torch.rand(width, generator=generator) * (high - low) + low


@dataclass(frozen=True)
class DiagonalTaps(ChannelTaps):
    """Taps 2 Re sum over n of C_n (exp(dt A_n) - 1) / A_n exp(t dt A_n): zero-order hold, all inputs 1.

    Attributes:
        states: N, even: each eigenvalue stands for itself and its conjugate.
    """

    states: int

    def __post_init__(self) -> None:
        refuse_odd(self.states)

    def parameters(self, shape: Shape, generator: torch.Generator) -> DiagonalParameters:
        """S4D-Lin: A_n = -1/2 + i pi n, C complex normal, in float32 on the CPU."""
        sizes = (shape.width, self.states // 2)
        real_DN, imag_DN = (math.sqrt(0.5) * normal(*sizes, generator=generator) for _ in range(2))
        return DiagonalParameters(
            log_step_D=log_steps(shape.width, generator),
            log_decay_DN=torch.full(sizes, math.log(0.5)),
            angle_DN=(math.pi * torch.arange(sizes[1])).expand(sizes),
            output_real_DN=real_DN,
            output_imag_DN=imag_DN,
        )

    def parameter_count(self, shape: Shape) -> int:
        """D (1 + 2 N)."""
        return shape.width * (1 + 2 * self.states)

    def flops(self, shape: Shape) -> tuple[float, float]:
        """2 D L N for the sum in real numbers, twice that backward."""
        return modal_flops(shape.width, shape.length, self.states)

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The taps by products of short tables of powers."""
        given = DiagonalParameters(*rows_CX)
        step_C1, decay_CN = given.log_step_D.exp()[:, None], -given.log_decay_DN.exp()
        rates = (step_C1 * decay_CN, step_C1 * given.angle_DN)
        rate_CN, eigenvalue_CN = torch.complex(*rates), torch.complex(decay_CN, given.angle_DN)
        weight_CN = 2 * torch.complex(given.output_real_DN, given.output_imag_DN)
        held_CN = weight_CN * torch.expm1(rate_CN) / eigenvalue_CN
        return turning_modal_taps((held_CN.real, held_CN.imag), rates, length)

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The taps [1, D, L] again, position by position in complex numbers."""
        given = DiagonalParameters(*parameters)
        eigenvalue_DN = torch.complex(-given.log_decay_DN.exp(), given.angle_DN).view(width, -1)
        step_D1 = given.log_step_D.exp()[:, None]
        weight_DN = torch.complex(given.output_real_DN, given.output_imag_DN)
        held_DN = weight_DN * (torch.exp(step_D1 * eigenvalue_DN) - 1) / eigenvalue_DN
        taps = [2 * (held_DN * torch.exp(t * step_D1 * eigenvalue_DN)).sum(1).real for t in range(length)]
        return torch.stack(taps, dim=1)[None]


class S4D(GluLayer):
    """Diagonal state spaces (Gu et al. 2022, arXiv:2206.11893), initialised as S4D-Lin, in the authors' minimal layer.

    Options:
        states: N, even.
    """

    source = "Gu et al. 2022, arXiv:2206.11893: as the authors' s4d.py, kernels as products of tables, real FFTs of 2L"

    def made_kernels(self, options: Mapping[str, OptionValue]) -> tuple[DiagonalTaps, ...]:
        """One diagonal state space a channel."""
        return (DiagonalTaps(states=int(options["states"])),)
