"""Every Hyena that runs here against the textbook one, interleaved in one run: float32, whole layer, filter not kept.

Run by hand on a quiet machine, from the repository's root: `python benchmarks/hyena.py` (at most 12 minutes on two cores),
or `--quick` to see that it works. One process for each allocator setting, started as a worker is; in each, every
implementation is called once a round, the first one moving on by one. Prints, beside the textbook's time,

- how many times as fast each is, by pairs of one round, with a 95 % interval;
- peak memory over the textbook's, at one length;
- the share of the machine's limit in forward: the time that the layer's products, transforms, sines and least bytes take
  one after the other, at the best rates that torch reaches between the rounds, over its own. Above 100 % only by noise,
  or by transforms that are faster than torch's;
- whether the yardstick is sound: the textbook's time over that of hyena:fft;

and writes every reading to `reports/hyena/readings.csv`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import torch  # noqa: E402 -- beside what is found through the line above
from textbook_hyena import TextbookHyena  # noqa: E402
from torch import Tensor  # noqa: E402

from hyenaprof.analysis.location import locate  # noqa: E402
from hyenaprof.devices.allocations import profiled  # noqa: E402
from hyenaprof.environment import Allocator, worker_environment  # noqa: E402
from hyenaprof.errors import Unsupported  # noqa: E402
from hyenaprof.model import DType, Phase, Scope, Shape  # noqa: E402
from hyenaprof.operators import OPERATORS  # noqa: E402
from hyenaprof.operators.base import Inputs, Launcher, load  # noqa: E402
from hyenaprof.operators.convolution import smooth_length  # noqa: E402
from hyenaprof.operators.projections import projection_flops  # noqa: E402
from hyenaprof.units import format_bytes, format_latency, format_percent  # noqa: E402

CPU = torch.device("cpu")
TEXTBOOK = "textbook"
WIDTHS = (256, 768)
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)
MEMORY_LENGTH = 8192
ALLOCATORS: tuple[Allocator, ...] = ("default", "warm")
PRODUCT_ROWS = 2048
CACHED_POINTS = 8192
ROWS_ABREAST = 16
WINDOW_S = 4.0
LEAST_ROUNDS, MOST_ROUNDS = 3, 12
KEPT_FROM_S = 4.0
"""The first round warms up, unless it takes so long that warming up no longer shows."""
What = Literal["forward", "training", "forward peak", "training peak", "rate"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One value: seconds, peak bytes, or a rate in FLOP/s, B/s or sines/s."""

    allocator: str
    width: int
    length: int
    what: What
    round: int
    subject: str
    value: float


@dataclass(frozen=True, slots=True)
class Setting:
    """One layer under one allocator, and what can run it."""

    allocator: Allocator
    shape: Shape
    inputs: Inputs
    launchers: dict[str, Launcher]

    def reading(self, what: What, turn: int, subject: str, value: float) -> Reading:
        """A reading taken here."""
        return Reading(self.allocator, self.shape.width, self.shape.length, what, turn, subject, value)


def setting(allocator: Allocator, width: int, length: int) -> Setting:
    """Builds everything that runs here; what does not is named once."""
    shape, operator = Shape(batch=1, length=length, width=width, heads=1), load("hyena", {})
    launchers: dict[str, Launcher] = {TEXTBOOK: TextbookHyena(length, width)}
    for name in OPERATORS["hyena"].implementations:
        try:
            launchers[name] = operator.build(name, shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU)
        except Unsupported as reason:
            print(f"hyena:{name} is left out: {reason}", file=sys.stderr)
    inputs = operator.inputs(shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=0)
    return Setting(allocator, shape, inputs, launchers)


def call(layer: Setting, subject: str, phase: What, dout_BLD: Tensor) -> None:
    """One forward pass, or one forward and one backward pass."""
    if phase == "forward":
        with torch.no_grad():
            layer.launchers[subject](*layer.inputs)
    else:
        torch.autograd.grad(layer.launchers[subject](*layer.inputs), list(layer.inputs), dout_BLD)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call; with one thread its CPU time, which other processes disturb little."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    work()
    return clock() - began


def rounds_of(layer: Setting, phase: What, *, window_s: float) -> Iterator[Reading]:
    """Interleaved rounds, the machine's rates after each forward one."""
    names, dout_BLD = list(layer.launchers), torch.randn_like(layer.inputs[0])
    turn, rounds = 0, 1
    while turn < rounds:
        first = turn % len(names)
        taken = {
            name: seconds(lambda name=name: call(layer, name, phase, dout_BLD))  # type: ignore[misc]
            for name in (*names[first:], *names[:first])
        }
        whole_s = sum(taken.values())
        if turn == 0:
            rounds = 1 + min(MOST_ROUNDS, max(LEAST_ROUNDS, int(window_s / whole_s))) - (whole_s >= KEPT_FROM_S)
        if turn > 0 or whole_s >= KEPT_FROM_S:
            yield from (layer.reading(phase, turn, name, taken_s) for name, taken_s in taken.items())
            if phase == "forward":
                yield from (layer.reading("rate", turn, name, rate) for name, rate in rates(layer.shape).items())
        turn += 1


def rates(shape: Shape) -> dict[str, float]:
    """What the machine does a second at this moment, each at its best: no layer of this shape can go faster.

    Products are the input projection's, either way round, of up to 2048 positions. Transforms, either direction, have
    the layer's own points or few enough for a core's second cache, whichever runs faster. A copy is as large as the layer's
    streams, up to 64 MiB: it stays in the cache where they would.
    """
    width, streams = shape.width, 3 * shape.width * shape.length
    rows = min(shape.length, PRODUCT_ROWS)
    a, b, product = torch.randn(rows, width), torch.randn(3 * width, width), torch.empty(3 * width * rows)
    source = torch.randn(min(2**24, streams))
    target, angles = torch.empty_like(source), torch.randn(2**19)
    sines = torch.empty_like(angles)
    products_s = min(
        least(lambda: torch.mm(a, b.T, out=product.view(rows, -1))),
        least(lambda: torch.mm(b, a.T, out=product.view(-1, rows))),
    )
    points = smooth_length(2 * shape.length - 1)
    return {
        "products": 6.0 * rows * width**2 / products_s,
        "transforms": max(transform_rate(count) for count in {points, min(points, CACHED_POINTS)}),
        "bytes": 8.0 * len(source) / least(lambda: target.copy_(source)),
        "sines": len(angles) / least(lambda: torch.sin(angles, out=sines)),
    }


def transform_rate(points: int) -> float:
    """FLOP/s of real transforms, the better direction; at least ROWS_ABREAST for each thread, as torch's are fast in rows."""
    signals = torch.randn(max(ROWS_ABREAST * torch.get_num_threads(), 2**18 // points), points)
    spectra = torch.empty(len(signals), points // 2 + 1, dtype=torch.complex64)
    there_s = least(lambda: torch.fft.rfft(signals, out=spectra))
    back_s = least(lambda: torch.fft.irfft(spectra, n=points, out=signals))
    return 2.5 * signals.numel() * math.log2(points) / min(there_s, back_s)


def least(work: Callable[[], object]) -> float:
    """Seconds of the fastest of five calls."""
    return min(seconds(work) for _ in range(5))


def limit_s(shape: Shape, rate: dict[str, float]) -> float:
    """Seconds that the layer's forward pass takes at these rates: a sum, as they are not overlapped on a CPU.

    Products: both projections and the filter's network. Transforms: filter, input, output. Bytes: those of a fused layer.
    """
    operator, length, width = load("hyena", {}), shape.length, shape.width
    points = smooth_length(2 * length - 1)
    cost = operator.cost("fft", shape, Scope.LAYER, phase=Phase.FORWARD, dtype=DType.FLOAT32)
    network = 2.0 * length * 64 * (33 + 2 * 64 + width)
    return (
        (projection_flops(shape, 3) + network) / rate["products"]
        + 3 * 2.5 * width * points * math.log2(points) / rate["transforms"]
        + cost.bytes / rate["bytes"]
        + 3.0 * 64 * length / rate["sines"]
    )


def peaks(layer: Setting) -> Iterator[Reading]:
    """Peak bytes of one call beyond its inputs, by the profiler's allocations."""
    dout_BLD = torch.randn_like(layer.inputs[0])
    kinds: tuple[tuple[What, What], ...] = (("forward", "forward peak"), ("training", "training peak"))
    for phase, what in kinds:
        for name in layer.launchers:
            read = profiled((lambda name=name, phase=phase: call(layer, name, phase, dout_BLD),))  # type: ignore[misc]
            yield layer.reading(what, 0, name, float(max(read.peak_bytes)))


def measure(asked: argparse.Namespace) -> None:
    """One allocator's share, in a process of its own: prints readings as CSV."""
    table = csv.DictWriter(sys.stdout, [field.name for field in fields(Reading)])
    for width in asked.widths:
        for length in asked.lengths:
            layer = setting(asked.allocator, width, length)
            taken = [
                *rounds_of(layer, "forward", window_s=asked.window_s),
                *rounds_of(layer, "training", window_s=asked.window_s),
            ]
            if length == asked.memory_length and asked.allocator == ALLOCATORS[0]:
                taken += peaks(layer)
            table.writerows(asdict(reading) for reading in taken)
            print(f"{asked.allocator} allocator, width {width}, length {length}: done", file=sys.stderr, flush=True)


def measured(allocator: Allocator, threads: int | None) -> list[Reading]:
    """Starts a process with its allocator and reads what it prints."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, *sys.argv, "--allocator", allocator],
        env=plain | worker_environment(allocator, threads),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rows = csv.DictReader(done.stdout.splitlines(), [field.name for field in fields(Reading)])
    return [
        Reading(
            row["allocator"],
            int(row["width"]),
            int(row["length"]),
            row["what"],  # type: ignore[arg-type]  # as written by `measure`
            int(row["round"]),
            row["subject"],
            float(row["value"]),
        )
        for row in rows
    ]


def by_subject(readings: Iterable[Reading], what: What) -> dict[str, dict[int, float]]:
    """Values by subject and round."""
    found: dict[str, dict[int, float]] = {}
    for reading in readings:
        if reading.what == what:
            found.setdefault(reading.subject, {})[reading.round] = reading.value
    return found


def ratio(ours: dict[int, float], theirs: dict[int, float]) -> str:
    """How many times ours theirs is, by pairs of one round, with its 95 % interval."""
    located = locate([math.log(theirs[turn] / ours[turn]) for turn in sorted(ours)])
    low, high = located.interval() or (math.nan, math.nan)
    return f"{math.exp(located.value):.2f} [{math.exp(low):.2f}, {math.exp(high):.2f}]"


def share_of_limit(shape: Shape, own: dict[int, float], rate: dict[str, dict[int, float]]) -> str:
    """The limit of each round over the time of that round, median."""
    shares = (limit_s(shape, {name: values[turn] for name, values in rate.items()}) / own[turn] for turn in own)
    return format_percent(statistics.median(shares))


def told(readings: list[Reading]) -> list[str]:
    """Lines on one layer under one allocator."""
    shape = Shape(batch=1, length=readings[0].length, width=readings[0].width, heads=1)
    lines, rate = [], by_subject(readings, "rate")
    phases: tuple[What, ...] = ("forward", "training")
    for phase in phases:
        times = by_subject(readings, phase)
        textbook = times.pop(TEXTBOOK)
        head = f"{readings[0].allocator:8}{shape.width:5}{shape.length:7} {phase:9}"
        sound = statistics.median(textbook[turn] / times["fft"][turn] for turn in textbook)
        textbook_s = format_latency(statistics.median(textbook.values()))
        lines.append(f"{head}textbook {textbook_s}, {sound:.2f} of hyena:fft, n={len(textbook)}")
        for name, own in times.items():
            share = f", {share_of_limit(shape, own, rate)} of the limit" if phase == "forward" else ""
            lines.append(f"{head}hyena:{name:9} {ratio(own, textbook)} times as fast{share}")
        peak = {name: values[0] for name, values in by_subject(readings, f"{phase} peak").items()}  # type: ignore[arg-type]
        lines += [
            f"{head}hyena:{name:9} peak memory {value / peak[TEXTBOOK]:.2f} of {format_bytes(peak[TEXTBOOK])}"
            for name, value in peak.items()
            if name != TEXTBOOK
        ]
    return lines


def write(readings: list[Reading], folder: Path) -> None:
    """All readings as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "readings.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Reading)])
        table.writeheader()
        table.writerows(asdict(reading) for reading in readings)


def request() -> argparse.Namespace:
    """What was asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="width 64, lengths 1k and 2k")
    arguments.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    arguments.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    arguments.add_argument("--threads", type=int, help="with 1 the clock is CPU time: for a machine that is not quiet")
    arguments.add_argument("--out", type=Path, default=ROOT / "reports" / "hyena")
    arguments.add_argument("--allocator", choices=ALLOCATORS, help="measure under this one, here (used by the script)")
    asked = arguments.parse_args()
    asked.window_s, asked.memory_length = WINDOW_S, MEMORY_LENGTH
    if asked.quick:
        asked.widths, asked.lengths, asked.window_s, asked.memory_length = (64,), (1024, 2048), 0.2, 1024
    return asked


def main() -> int:
    """Measures under each allocator in turn, prints and writes."""
    asked = request()
    if asked.allocator is not None:
        measure(asked)
        return 0
    began = time.perf_counter()
    readings = [reading for allocator in ALLOCATORS for reading in measured(allocator, asked.threads)]
    threads = asked.threads or torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, float32, layer, batch 1, filter not kept")
    for key in dict.fromkeys((reading.allocator, reading.width, reading.length) for reading in readings):
        print("\n".join(told([r for r in readings if (r.allocator, r.width, r.length) == key])))
    write(readings, asked.out)
    print(f"{time.perf_counter() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
