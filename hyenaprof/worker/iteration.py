"""What is timed: one call of an operator as steps, with everything it needs made before and dropped after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from hyenaprof.devices.base import Device, Step
from hyenaprof.errors import Unsupported
from hyenaprof.model import Phase, Point
from hyenaprof.operators.base import Inputs, Launcher, Operator, refuse_backward


@dataclass(slots=True)
class Iteration:
    """One forward pass, or one forward and one backward pass, over the same inputs.

    The result and the gradients live until `clear`, so that freeing them is never timed. Gradients are returned rather
    than accumulated: nothing is added up from call to call.
    """

    launcher: Launcher
    inputs: Inputs
    with_gradients: bool
    seed: int = 0
    cotangent: Tensor | None = None
    output: Tensor | None = None
    gradients: tuple[Tensor, ...] = field(default=())

    def forward(self) -> None:
        """The forward pass; without gradients nothing is saved for a backward pass."""
        if self.with_gradients:
            self.output = self.launcher(*self.inputs)
        else:
            with torch.no_grad():
                self.output = self.launcher(*self.inputs)

    def backward(self) -> None:
        """Gradients of every input that requires one, against the cotangent."""
        self.gradients = torch.autograd.grad(self._known_output(), self.learned, self.cotangent)

    def make_cotangent(self) -> None:
        """Makes the random gradient of the output once its shape is known; never timed."""
        if self.cotangent is None:
            output = self._known_output()
            generator = torch.Generator(device=output.device).manual_seed(self.seed + 1)
            self.cotangent = torch.randn(
                output.shape, generator=generator, dtype=output.dtype, device=output.device
            ).contiguous()

    def _known_output(self) -> Tensor:
        if self.output is None:
            raise RuntimeError("the backward pass needs a forward pass before it")
        return self.output

    @property
    def learned(self) -> tuple[Tensor, ...]:
        """The inputs that gradients are taken for."""
        return tuple(tensor for tensor in self.inputs if tensor.requires_grad)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The timed pieces, in turn."""
        return (self.forward, self.backward) if self.with_gradients else (self.forward,)

    def clear(self) -> None:
        """Drops the result and the gradients."""
        self.output = None
        self.gradients = ()


def prepare(operator: Operator, point: Point, device: Device) -> Iteration:
    """Makes inputs and builds the implementation.

    Raises:
        Unsupported: The implementation cannot run this point, or the phase is not one that can be timed.
    """
    check_phase(operator, point)
    return assemble(point, inputs_of(operator, point, device), launcher_of(operator, point, device))


def inputs_of(
    operator: Operator, point: Point, device: Device, *, fill: Literal["random", "ones"] = "random"
) -> Inputs:
    """Makes the point's seeded inputs on the device; a layer's x may be all ones instead."""
    shape = device.materialise(point.shape)
    inputs = operator.inputs(shape, point.scope, dtype=point.dtype, device=device.torch_device, seed=point.seed)
    if fill == "ones":
        with torch.no_grad():
            inputs[0].fill_(1)
    return inputs


def launcher_of(operator: Operator, point: Point, device: Device) -> Launcher:
    """Builds the point's implementation.

    Raises:
        Unsupported: It cannot run here.
    """
    shape = device.materialise(point.shape)
    return operator.build(point.implementation, shape, point.scope, dtype=point.dtype, device=device.torch_device)


def assemble(point: Point, inputs: Inputs, launcher: Launcher) -> Iteration:
    """Joins what `inputs_of` and `launcher_of` gave."""
    return Iteration(launcher, inputs, with_gradients=point.phase.has_gradients, seed=point.seed)


def check_phase(operator: Operator, point: Point) -> None:
    """Refuses a scope or a phase that the operator does not have.

    Raises:
        Unsupported: It has not.
    """
    if point.phase is Phase.DECODE:
        raise Unsupported(f"{point.label} has no decode phase")
    check_scope(operator, point)
    if point.phase.has_gradients and not operator.differentiable(point.implementation):
        raise refuse_backward(operator, point.label)


def check_scope(operator: Operator, point: Point) -> None:
    """Refuses a scope that the operator does not have.

    Raises:
        Unsupported: It has not.
    """
    if point.scope not in operator.scopes:
        raise Unsupported(f"{point.label} has no scope {point.scope}, only {', '.join(operator.scopes)}")


def enacted(
    iteration: Iteration, point: Point, operator: Operator, device: Device, *, round_index: int
) -> tuple[Step, ...]:
    """The steps as the device runs them, each told the cost of its own phase."""
    steps = []
    for step, phase in zip(iteration.steps, (Phase.FORWARD, Phase.BACKWARD), strict=False):
        cost = operator.cost(point.implementation, point.shape, point.scope, phase=phase, dtype=point.dtype)
        steps.append(device.enact(step, point.reading(phase), cost, round_index=round_index))
    return tuple(steps)


def reading(phase: Phase, steps: Sequence[float]) -> float:
    """The phase's share of one iteration's steps, in their unit: forward and backward are one step, training is both."""
    return {Phase.BACKWARD: steps[-1], Phase.TRAINING: sum(steps)}.get(phase, steps[0])
