"""Right before fast: an implementation against its float64 definition, or at length against what can be had there.

The error of a quantity is its largest deviation over the largest value it should have. What is not finite has no error
and fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.model import CheckEntry, CheckLine, DType, Point, Scope
from hyenaprof.operators.base import (
    TORCH_DTYPES,
    Inputs,
    Launcher,
    Operator,
    SpotCheck,
    entry_for,
    fields_of,
    quantity_name,
    refuse_backward,
    seeded,
)
from hyenaprof.worker.tolerances import Tolerance, allowed, least_of_table, may_be_rounding, tolerance_of

_MOVES = 3
"""Random roundings tried; the furthest move counts."""

_AT_ONCE = 2**24
"""Elements compared at once: a comparison in float64 takes little memory beside what it compares."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """An implementation ready to be called, and its inputs."""

    operator: Operator
    point: Point
    launch: Launcher
    inputs: Inputs

    def call(self) -> Tensor:
        return self.launch(*self.inputs)

    @property
    def names(self) -> tuple[str, ...]:
        return fields_of(self.inputs)

    @property
    def learns(self) -> bool:
        """Whether gradients are to be compared: wherever the implementation has any, whatever the point's phase."""
        return self.operator.differentiable(self.point.implementation)


def verify(operator: Operator, point: Point, device: torch.device, fingerprint_id: str) -> CheckLine:
    """Compares output, every gradient and causality with the float64 definition, on the same tensors.

    The definition takes O(L^2) time, so the point's shape should be small. Inputs of 16 bits are compared as rounded.

    Raises:
        Unsupported: The implementation cannot run here, or has no backward pass where the point's phase needs one.
    """
    subject = _prepare(operator, point, device)
    exact_inputs = _converted(subject.inputs, torch.float64)
    exact = operator.reference(point.scope, *exact_inputs)
    dy = torch.randn(exact.shape, generator=seeded(point.seed + 1)).to(device, TORCH_DTYPES[point.dtype])
    expected = {"output": exact.detach()}
    if subject.learns:
        expected |= _gradients(exact, subject.names, exact_inputs, dy.double())
    entries = _entries(_everything(subject, dy, expected), tolerance_of(point))
    plain = _plain_entries(subject, dy, expected)
    doubtful = may_be_rounding(entries, plain) if _is_float32_layer(point) else frozenset[str]()
    moves = _moves_by_rounding(subject, dy.double(), expected) if doubtful else {}
    conditions = {quantity: moves[quantity] for quantity in doubtful}
    entries = allowed(entries, plain=plain, moves=conditions, least=least_of_table(point))
    with torch.no_grad():
        length = point.shape.length
        starts = sorted({1, length // 2, length - 1} & set(range(1, length)))
        entries += _causality(subject, subject.call(), starts)
    return CheckLine(point=point, method="float64 definition", entries=tuple(entries), fingerprint_id=fingerprint_id)


def verify_at_length(operator: Operator, point: Point, device: torch.device, fingerprint_id: str) -> CheckLine:
    """Compares what can be compared at any length: the shape that is timed, and no L x L definition.

    Either the operator's own spot checks in float64, or the whole output and all gradients against the first other
    implementation that runs here, the plain one if it does, in at least float32. Where there is neither, and for the
    plain implementation itself, values must be finite and causal, and the method says so. Nothing is widened by condition
    here: a float32 layer is compared with float32, which rounds mostly in the same places (see `tolerances.MOST_OF_TABLE`
    for what was measured), and what is compared with float64, any core and attention's layer, has no filter network's
    sines to magnify its rounding.

    Raises:
        Unsupported: The implementation cannot run here.
    """
    subject = _prepare(operator, point, device)
    output = subject.call()
    dy = operator.cotangent(point.scope, output.detach(), point.seed + 1)
    gradients = _gradients(output, subject.names, subject.inputs, dy) if subject.learns else {}
    output = output.detach()
    checks = operator.spot_checks(
        point.scope, subject.inputs, output=output, cotangent=dy, gradients=gradients, seed=point.seed
    )
    entries, method = _entries(checks, tolerance_of(point)), "sampled positions in float64"
    if not entries:
        entries, method = _against_another(subject, {"output": output, **gradients}, dy)
    with torch.no_grad():
        entries += _causality(subject, output, [point.shape.length // 2])
    return CheckLine(point=point, method=method, entries=tuple(entries), fingerprint_id=fingerprint_id)


def _prepare(operator: Operator, point: Point, device: torch.device) -> _Subject:
    if point.phase.has_gradients and not operator.differentiable(point.implementation):
        raise refuse_backward(operator, point.label)
    inputs = operator.inputs(point.shape, point.scope, dtype=point.dtype, device=device, seed=point.seed)
    launch = operator.build(point.implementation, point.shape, point.scope, dtype=point.dtype, device=device)
    return _Subject(operator, point, launch, inputs)


def _converted(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """Leaves of the same values, at least as wide as `dtype`."""
    return tuple(
        tensor.detach().to(torch.promote_types(tensor.dtype, dtype)).requires_grad_(tensor.requires_grad)
        for tensor in inputs
    )


def _gradients(output: Tensor, names: tuple[str, ...], inputs: Inputs, dy: Tensor) -> dict[str, Tensor]:
    """Gradients by field; zeros where the output does not depend on an input, or is not what dy is a gradient of."""
    learned = {name: tensor for name, tensor in zip(names, inputs, strict=True) if tensor.requires_grad}
    if not output.requires_grad or output.shape != dy.shape:
        return {name: torch.zeros_like(tensor) for name, tensor in learned.items()}
    found = torch.autograd.grad(output, list(learned.values()), dy, materialize_grads=True)
    return dict(zip(learned, found, strict=True))


def _everything(subject: _Subject, dy: Tensor, expected: Mapping[str, Tensor]) -> Iterator[SpotCheck]:
    """What the implementation gives beside what is expected, the output without and with gradients wanted."""
    with torch.no_grad():
        yield SpotCheck("output", subject.call(), expected["output"])
    if not subject.learns:
        return
    output = subject.call()
    got = {"output": output.detach(), **_gradients(output, subject.names, subject.inputs, dy)}
    yield from _beside(subject, got, expected)


def _beside(subject: _Subject, got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[SpotCheck]:
    for name, value in expected.items():
        if name == "output":
            yield SpotCheck(name, got[name], value)
        else:
            cancels = subject.operator.cancels(subject.point.scope, name)
            yield SpotCheck(f"gradient of {quantity_name(name)}", got[name], value, cancels)


def _plain_entries(subject: _Subject, dy: Tensor, expected: Mapping[str, Tensor]) -> list[CheckEntry]:
    """The same comparison for the operator's plain implementation, where that is another one and runs here."""
    point = subject.point
    plain = entry_for(point.operator).implementations[0]
    if point.scope is Scope.CORE or plain == point.implementation:
        return []
    try:
        other = _prepare(subject.operator, point.model_copy(update={"implementation": plain}), dy.device)
    except Unsupported:
        return []
    return _entries(_everything(replace(other, inputs=subject.inputs), dy, expected), tolerance_of(point))


def _is_float32_layer(point: Point) -> bool:
    return point.scope is not Scope.CORE and point.dtype is DType.FLOAT32


def _moves_by_rounding(subject: _Subject, dy: Tensor, expected: Mapping[str, Tensor]) -> dict[str, float]:
    """How far each gradient's definition moves, as an error, when every number it is given moves by up to one rounding."""
    generator, moves = seeded(subject.point.seed + 2), dict[str, float]()
    for _ in range(_MOVES):
        moved = tuple(_moved(tensor.detach(), generator).requires_grad_() for tensor in subject.inputs)
        output = subject.operator.reference(subject.point.scope, *moved)
        got = _gradients(output, subject.names, moved, dy)
        for check in _beside(subject, got | {"output": output.detach()}, expected):
            error = _error(check.got, check.expected)
            moves[check.quantity] = max(moves.get(check.quantity, 0.0), error or 0.0)
    return moves


def _moved(tensor: Tensor, generator: torch.Generator) -> Tensor:
    sides = 2 * torch.rand(tensor.shape, generator=generator, dtype=torch.float64) - 1
    return tensor.double() * (1 + torch.finfo(tensor.dtype).eps / 2 * sides.to(tensor.device))


def _against_another(subject: _Subject, got: Mapping[str, Tensor], dy: Tensor) -> tuple[list[CheckEntry], str]:
    """(entries, method) against another implementation in at least float32, or against nothing but being finite.

    The plain implementation is the yardstick of the others and compared with none: it would be red for their faults.
    """
    point = subject.point
    plain, *_ = implementations = entry_for(point.operator).implementations
    others = [name for name in implementations if point.implementation not in {plain, name}]
    inputs = _converted(subject.inputs, torch.float32)
    wide = DType.FLOAT64 if point.dtype is DType.FLOAT64 else DType.FLOAT32
    for implementation in others:
        try:
            launch = subject.operator.build(implementation, point.shape, point.scope, dtype=wide, device=dy.device)
            output = launch(*inputs)
        except Unsupported:
            continue
        expected = {"output": output.detach()}
        if subject.learns and subject.operator.differentiable(implementation):
            expected |= _gradients(output, subject.names, inputs, dy.to(output.dtype))
        return _entries(
            _beside(subject, got, expected), tolerance_of(point)
        ), f"{point.operator}:{implementation} in {wide}"
    finite = _entries(_beside(subject, got, got), tolerance_of(point))
    return finite, "finite and causal only: nothing to compare it with runs here"


def _causality(subject: _Subject, output: Tensor, starts: Iterable[int]) -> list[CheckEntry]:
    """Replaces all inputs from each start on; the output before it must stay as it was."""
    axes, point = subject.operator.causal_axes(subject.point.scope), subject.point
    if axes is None:
        return []
    entries, scale = [], _largest(output)
    for start in starts:
        changed = list(subject.inputs)
        for index, axis in enumerate(axes.inputs):
            changed[index] = _replaced_from(changed[index].detach(), axis, start, seed=point.seed + 2 + index)
        early = subject.launch(*changed).narrow(axes.output, 0, start)
        error = _error(early, output.narrow(axes.output, 0, start), scale=scale)
        tolerance = tolerance_of(point).values
        entries.append(CheckEntry(quantity=f"causality at {start}", error=error, tolerance=tolerance))
    return entries


def _replaced_from(tensor: Tensor, axis: int, start: int, *, seed: int) -> Tensor:
    late = tensor.narrow(axis, start, tensor.shape[axis] - start)
    fresh = torch.randn(late.shape, generator=seeded(seed)).to(late.device, late.dtype)
    return torch.cat([tensor.narrow(axis, 0, start), fresh], dim=axis)


def _entries(checks: Iterable[SpotCheck], tolerance: Tolerance) -> list[CheckEntry]:
    """The largest error of each quantity, None where any value was not finite."""
    entries: dict[str, CheckEntry] = {}
    for check in checks:
        error, before = _error(check.got, check.expected), entries.get(check.quantity)
        if before is not None:
            error = None if error is None or before.error is None else max(error, before.error)
        allowed = tolerance.sums if check.cancels else tolerance.values
        entries[check.quantity] = CheckEntry(quantity=check.quantity, error=error, tolerance=allowed)
    return list(entries.values())


def _error(got: Tensor, expected: Tensor, *, scale: float | None = None) -> float | None:
    """Largest deviation over the largest expected value (over 1 where all are zero); None where it is not finite."""
    if got.shape != expected.shape:
        return None
    pairs = zip(_pieces(got), _pieces(expected), strict=True)
    deviation = _greatest(mine.double() - theirs.double() for mine, theirs in pairs)
    error = deviation / ((_largest(expected) if scale is None else scale) or 1.0)
    return error if math.isfinite(error) else None


def _largest(tensor: Tensor) -> float:
    return _greatest(_pieces(tensor))


def _greatest(pieces: Iterable[Tensor]) -> float:
    """The greatest magnitude in any piece; not a number where one is not."""
    greatest = [float(piece.abs().max()) for piece in pieces]
    return math.nan if any(map(math.isnan, greatest)) else max(greatest, default=0.0)


def _pieces(tensor: Tensor) -> tuple[Tensor, ...]:
    return torch.split(tensor.detach().reshape(-1), _AT_ONCE) if tensor.numel() else ()
