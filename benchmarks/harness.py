"""Times the same callables with hyenaprof, torch.utils.benchmark and, on a GPU, triton's do_bench, interleaved.

Run by hand on a quiet machine, from the repository's root: `python benchmarks/harness.py`. Writes `N-repetitions.csv`
into `reports/harness/` and prints a table: the ratio of hyenaprof's median to each peer's with its 95 % interval over the
repetitions, the spread (interquartile range) of each harness's medians, the ratio of the spreads with its 95 % bootstrap
interval (of 20 repetitions it is wide: take more to tell harnesses apart), and what of hyenaprof's time was neither warm-up
nor sample.

torch.utils.benchmark leaves the cache as it is, do_bench flushes it: each is compared with hyenaprof set likewise.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hyenaprof.environment import worker_environment  # noqa: E402 -- found through the line above

if __name__ == "__main__" and "HYENAPROF_HARNESS" not in os.environ:  # as a worker is started: before torch loads
    prepared = os.environ | worker_environment("warm", None) | {"HYENAPROF_HARNESS": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], prepared)  # noqa: S606 -- this very script, no shell

import numpy as np  # noqa: E402 -- after the environment
import torch  # noqa: E402 -- after the environment
from scipy.stats import bootstrap  # noqa: E402 -- after the environment
from torch import Tensor  # noqa: E402
from torch.utils.benchmark import Timer  # noqa: E402

from hyenaprof.analysis.location import locate  # noqa: E402
from hyenaprof.devices.base import Device, resolve  # noqa: E402
from hyenaprof.model import Phase  # noqa: E402
from hyenaprof.pipe import VisitRules  # noqa: E402
from hyenaprof.units import format_latency, format_percent  # noqa: E402
from hyenaprof.worker.measure import time_callable  # noqa: E402

TARGETS_S = {"cpu": (2e-3, 50e-3), "cuda": (20e-6, 1e-3, 2e-3, 50e-3)}
REPETITIONS = 20
DRAWS = 2000
INNER = 1024
PEER = "torch.utils.benchmark"
FLUSHING_PEER = "triton do_bench"


@dataclass(frozen=True, slots=True)
class Reading:
    """One harness's answer in one repetition. Seconds; the last two are None for harnesses that do not tell."""

    kernel: str
    repetition: int
    place: int
    harness: str
    median_s: float
    wall_s: float
    warmup_s: float | None
    sampled_s: float | None


@dataclass(frozen=True, slots=True)
class Kernel:
    """A product of [rows, 1024] and [1024, 1024], rows chosen for a target time."""

    name: str
    inputs: tuple[Tensor, ...]

    def __call__(self) -> Tensor:
        """One call."""
        return torch.mm(*self.inputs)


def kernel_of(target_s: float, device: Device) -> Kernel:
    """The product whose call takes about the target time here."""
    weight = torch.randn(INNER, INNER, device=device.torch_device)
    rows = 64
    for _ in range(6):
        x = torch.randn(rows, INNER, device=device.torch_device)
        found_s = by_hyenaprof(Kernel("", (x, weight)), device, "hot")[0]
        rows = max(1, round(rows * min(8.0, target_s / found_s)))
    x = torch.randn(rows, INNER, device=device.torch_device)
    return Kernel(f"mm [{rows}, {INNER}] x [{INNER}, {INNER}], for {format_latency(target_s)}", (x, weight))


Answer = tuple[float, float | None, float | None]
"""Median, warm-up and samples in seconds."""


def by_hyenaprof(kernel: Kernel, device: Device, cache: str) -> Answer:
    """By the engine of a visit."""
    rules = VisitRules.model_validate({"cache": cache})
    samples = time_callable(torch.mm, kernel.inputs, device, rules)
    sampled_s = sum(sample.total_s for sample in samples.taken)
    return statistics.median(samples.clean(Phase.FORWARD)), samples.warmup_s, sampled_s


def by_torch(kernel: Kernel) -> Answer:
    """By blocked_autorange with the same window, on as many threads."""
    timer = Timer("kernel()", globals={"kernel": kernel}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=VisitRules().window_s).median, None, None


def by_triton(kernel: Kernel) -> Answer:
    """By do_bench with the same window."""
    from triton.testing import do_bench  # type: ignore[import-untyped]  # triton has no stubs

    median_ms = do_bench(kernel, rep=VisitRules().window_s * 1e3, return_mode="median")
    return float(median_ms) * 1e-3, None, None


def harnesses(kernel: Kernel, device: Device) -> dict[str, Callable[[], Answer]]:
    """Every harness that runs on the device."""
    found: dict[str, Callable[[], Answer]] = {
        "hyenaprof": lambda: by_hyenaprof(kernel, device, "hot"),
        PEER: lambda: by_torch(kernel),
    }
    if device.kind == "cuda":
        found["hyenaprof, cold cache"] = lambda: by_hyenaprof(kernel, device, "cold")
        found[FLUSHING_PEER] = lambda: by_triton(kernel)
    return found


def interleaved(kernel: Kernel, device: Device, repetitions: int) -> list[Reading]:
    """Each harness once a repetition, the first one moving on by one each time."""
    names = list(harnesses(kernel, device))
    readings = []
    for repetition in range(repetitions):
        turn = repetition % len(names)
        for place, name in enumerate((*names[turn:], *names[:turn])):
            began = time.perf_counter()
            median_s, warmup_s, sampled_s = harnesses(kernel, device)[name]()
            wall_s = time.perf_counter() - began
            readings.append(Reading(kernel.name, repetition, place, name, median_s, wall_s, warmup_s, sampled_s))
    return readings


def spread(values: Iterable[float]) -> float:
    """Interquartile range over the median."""
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle


def summary(readings: list[Reading]) -> list[str]:
    """One line a harness: its median, its spread, hyenaprof's ratio to it, and the overhead where it is told."""
    medians = {name: [r.median_s for r in readings if r.harness == name] for name in {r.harness for r in readings}}
    lines = [readings[0].kernel]
    for name, values in sorted(medians.items()):
        ours = medians["hyenaprof, cold cache" if name == FLUSHING_PEER else "hyenaprof"]
        line = f"  {name:24} {format_latency(statistics.median(values)):>9}  spread {format_percent(spread(values)):>6}"
        if not name.startswith("hyenaprof"):
            line += f"  hyenaprof / it {ratio(ours, values)}, spreads {ratio_of_spreads(ours, values)}"
        lines.append(line + overhead([r for r in readings if r.harness == name]))
    return lines


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Ours over theirs, paired by repetition, with its 95 % interval."""
    located = locate([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])
    low, high = located.interval() or (math.nan, math.nan)
    return f"{math.exp(located.value):.4f} [{math.exp(low):.4f}, {math.exp(high):.4f}]"


def ratio_of_spreads(ours: list[float], theirs: list[float]) -> str:
    """Our spread over theirs, with its 95 % interval over resampled repetitions (seeded)."""
    drawn = bootstrap(
        (np.array(ours), np.array(theirs)),
        lambda a, b: spread(a.tolist()) / spread(b.tolist()),
        paired=True,
        vectorized=False,
        n_resamples=DRAWS,
        method="percentile",
        rng=0,
    )
    low, high = drawn.confidence_interval
    return f"{spread(ours) / spread(theirs):.2f} [{low:.2f}, {high:.2f}]"


def overhead(readings: list[Reading]) -> str:
    """What of the wall time was neither warm-up nor sample."""
    told = [(r.wall_s, r.warmup_s, r.sampled_s) for r in readings if r.warmup_s is not None and r.sampled_s is not None]
    if not told:
        return ""
    share = statistics.median(1 - (warm + sampled) / wall for wall, warm, sampled in told)
    return f"  overhead {format_percent(share)}"


def write(readings: list[Reading], folder: Path) -> None:
    """All readings as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    repetitions = 1 + max(reading.repetition for reading in readings)
    with (folder / f"{repetitions}-repetitions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Reading)])
        table.writeheader()
        table.writerows(asdict(reading) for reading in readings)


def main() -> int:
    """Times every kernel and prints what came of it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--repetitions", type=int, default=REPETITIONS)
    arguments.add_argument("--out", type=Path, default=ROOT / "reports" / "harness")
    asked = arguments.parse_args()
    device = resolve(asked.device)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device.describe().get('gpu', 'CPU')}")
    readings = []
    for target_s in TARGETS_S[device.kind]:
        taken = interleaved(kernel_of(target_s, device), device, asked.repetitions)
        readings += taken
        print("\n".join(summary(taken)))
    write(readings, asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
