"""How far float32 rounding takes the plain Hyena layer from float64, beside what its inputs' rounding does to it anyway.

Run by hand from the repository's root: `python benchmarks/rounding.py`. No timing, so a busy machine does no harm; about
a minute. For each setting and the quantities with the largest errors it prints, over many seeds: the error (largest
deviation over largest value) as median and largest; the largest error in roundings, that is over what the same quantity
moves by in float64 when every input moves at random by up to half a unit of float32's last place, furthest of three; and
the largest error by root mean squares. The tolerances in `hyenaprof/worker/tolerances.py` rest on it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 -- beside what is found through the line above
from torch import Tensor  # noqa: E402

from hyenaprof.model import DType, Scope, Shape  # noqa: E402
from hyenaprof.operators.base import Inputs, Launcher, fields_of, load, quantity_name, seeded  # noqa: E402

CPU = torch.device("cpu")
MOVES = 3
SHOWN = 3
PLANS = (
    (8, 2, 40, 2),
    (8, 2, 127, 2),
    (24, 1, 33, 2),
    (24, 3, 64, 2),
    (24, 2, 47, 3),
    (16, 2, 127, 4),
    (64, 2, 127, 2),
    (256, 2, 127, 2),
    (768, 1, 127, 2),
)
"""Width, batch, length, order."""
LARGE_SEEDS = 20
"""From width 256 on."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One quantity of one seed."""

    quantity: str
    error: float
    move: float
    error_rms: float


def values(inputs: Inputs, launch: Launcher, dy_BLD: Tensor) -> dict[str, Tensor]:
    """The output and every gradient, in float64."""
    output = launch(*inputs)
    names = [quantity_name(field) for field in fields_of(inputs)]
    gradients = torch.autograd.grad(output, list(inputs), dy_BLD.to(output.dtype))
    return {"output": output.detach().double(), **{n: g.double() for n, g in zip(names, gradients, strict=True)}}


def moved(inputs: Inputs, generator: torch.Generator) -> Inputs:
    """The inputs in float64, each number moved by up to one rounding."""
    half = torch.finfo(torch.float32).eps / 2
    shifts = (2 * torch.rand(x.shape, generator=generator, dtype=torch.float64) - 1 for x in inputs)
    return type(inputs)(
        *((x.detach().double() * (1 + half * shift)).requires_grad_() for x, shift in zip(inputs, shifts, strict=True))
    )


def off(got: Tensor, exact: Tensor) -> float:
    """Largest deviation over largest value."""
    return float((got - exact).abs().max() / exact.abs().max())


def draws(shape: Shape, order: int, frequency: float, seed: int) -> list[Draw]:
    """All quantities of one seed."""
    operator = load("hyena", {"order": order, "frequency": frequency})
    inputs = operator.inputs(shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=seed)
    wide = type(inputs)(*(tensor.detach().double().requires_grad_() for tensor in inputs))
    plain, exactly = (
        operator.build("fft", shape, Scope.LAYER, dtype=dtype, device=CPU) for dtype in (DType.FLOAT32, DType.FLOAT64)
    )
    dy_BLD = torch.randn(shape.batch, shape.length, shape.width, generator=seeded(seed + 1))
    exact, got = values(wide, exactly, dy_BLD), values(inputs, plain, dy_BLD)
    generator = seeded(seed + 2)
    shifted = [values(moved(inputs, generator), exactly, dy_BLD) for _ in range(MOVES)]
    return [
        Draw(
            quantity=name,
            error=off(got[name], value),
            move=max(off(other[name], value) for other in shifted),
            error_rms=float((got[name] - value).square().mean().sqrt() / value.square().mean().sqrt()),
        )
        for name, value in exact.items()
    ]


def lines(taken: list[Draw]) -> list[str]:
    """One line a quantity, the largest errors first, then one for all."""
    by_name = {name: [draw for draw in taken if draw.quantity == name] for name in {d.quantity for d in taken}}
    shown = sorted(by_name, key=lambda name: -max(draw.error for draw in by_name[name]))[:SHOWN]
    return [line(name, by_name[name]) for name in shown] + [line("all", taken)]


def line(name: str, taken: list[Draw]) -> str:
    """A quantity's errors over all seeds."""
    errors = [draw.error for draw in taken]
    roundings = max(draw.error / draw.move for draw in taken if draw.move)
    rms = max(draw.error_rms for draw in taken)
    beyond = sum(error > 1e-4 for error in errors)
    return (
        f"  {name:13} median {statistics.median(errors):.1e}  largest {max(errors):.1e} (beyond 1e-4: {beyond} of "
        f"{len(errors)})  in roundings {roundings:4.1f}  by rms {rms:.1e}"
    )


def main() -> int:
    """Prints the errors of every setting."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=200)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    for frequency in (1.0, 14.0):
        for width, batch, length, order in PLANS:
            shape = Shape(batch=batch, length=length, width=width, heads=1)
            seeds = asked.seeds if width < 256 else min(asked.seeds, LARGE_SEEDS)
            print(
                f"frequency {frequency:g}, width {width}, batch {batch}, length {length}, order {order}, {seeds} seeds"
            )
            print("\n".join(lines([draw for seed in range(seeds) for draw in draws(shape, order, frequency, seed)])))
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
