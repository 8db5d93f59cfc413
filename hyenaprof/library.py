"""The public library: time a callable by the rules of a visit, and read a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hyenaprof.model import Crossover, Record
from hyenaprof.records.store import Run, load_run

if TYPE_CHECKING:
    import pandas as pd


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
