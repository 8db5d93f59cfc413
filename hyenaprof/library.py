"""The public library: time a callable by the rules of a visit, and read a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from hyenaprof.errors import OperatorError
from hyenaprof.model import Crossover, Phase, Record
from hyenaprof.records.store import Run, load_run
from hyenaprof.units import format_latency

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run read from its journal; needs no torch.

    Attributes:
        run: Scenario, fingerprints, records and side lines as they stand in the folder.
    """

    run: Run

    @property
    def records(self) -> tuple[Record, ...]:
        """Everything known of each point, by setting, phase and length."""
        return self.run.records

    def crossovers(self) -> list[Crossover]:
        """Where each challenger overtakes each incumbent, recomputed from the raw samples."""
        from hyenaprof.analysis.crossover import find_all

        return find_all(self.run.records)

    def to_pandas(self) -> pd.DataFrame:
        """One row a point: median and interval in seconds, memory in bytes, outcome, cost."""
        from hyenaprof.report.frame import to_pandas

        return to_pandas(self.run)


def load(run: str | os.PathLike[str]) -> LoadedRun:
    """Reads a run's folder.

    Args:
        run: The folder that holds `journal.jsonl`.

    Raises:
        JournalError: No run there, or a corrupt line, named by its number.
    """
    return LoadedRun(load_run(run))


@dataclass(frozen=True, slots=True)
class Measurement:
    """A callable's time in this process.

    The interval is that of this process alone: another process may differ by more than it (`sweep` measures that).

    Attributes:
        samples_s: Seconds of every clean sample, in order.
        low_s: Lower end of the median's 95 % interval, by order statistics of the effective number of samples.
        high_s: Its upper end.
        warnings: What disturbed the measurement.
    """

    samples_s: tuple[float, ...]
    low_s: float
    high_s: float
    warnings: tuple[str, ...]

    @property
    def median_s(self) -> float:
        """Median of the samples in seconds."""
        return median(self.samples_s)

    def __str__(self) -> str:
        """`1.84 ms [1.82, 1.86], 200 samples`."""
        low, high = format_latency(self.low_s), format_latency(self.high_s)
        return f"{format_latency(self.median_s)} [{low}, {high}], {len(self.samples_s)} samples"


def measure(
    fn: Callable[..., Tensor], *inputs: Tensor, training: bool = False, precision: float = 0.01, cache: str = "cold"
) -> Measurement:
    """Times a callable on its inputs by the rules of one visit: warm-up until stable, then samples until precise.

    Args:
        fn: Takes the inputs and returns one tensor.
        inputs: Tensors on the device that is to be timed, made outside the timed region.
        training: Time forward and backward together; else forward alone, without gradients.
        precision: Half-width of the median's interval to stop at.
        cache: `cold` flushes the cache before each sample, `hot` does not.

    Returns:
        Samples, median and its interval, in seconds.

    Raises:
        OperatorError: No input to tell the device by, none that wants a gradient where training is asked for, or a
            precision or cache that makes no sense.
    """
    from hyenaprof.devices.base import resolve
    from hyenaprof.pipe import VisitRules
    from hyenaprof.worker.measure import time_callable
    from hyenaprof.worker.stopping import median_interval

    if not inputs:
        raise OperatorError("no input to tell the device by", hint="call measure(fn, x, ...)")
    if cache not in {"cold", "hot"} or not 0 < precision < 1:
        raise OperatorError(f"cache={cache!r}, precision={precision}", hint="cache is cold or hot, precision in (0, 1)")
    if training and not any(tensor.requires_grad for tensor in inputs):
        raise OperatorError("no input wants a gradient, so there is no training to time", hint="x.requires_grad_()")
    rules = VisitRules.model_validate({"precision": precision, "cache": cache})
    samples = time_callable(fn, inputs, resolve(str(inputs[0].device)), rules, gradients=training)
    clean_s = samples.clean(Phase.TRAINING if training else Phase.FORWARD)
    low_s, high_s = median_interval(clean_s)
    return Measurement(clean_s, low_s, high_s, samples.warnings)
