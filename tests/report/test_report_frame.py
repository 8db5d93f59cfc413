from __future__ import annotations

from pathlib import Path

import builders
import pandas as pd
import pytest

from hyenaprof.analysis.metrics import METRICS
from hyenaprof.model import Outcome
from hyenaprof.report.frame import COLUMNS, to_pandas, write_csv


def sample() -> pd.DataFrame:
    point = builders.make_point("hyena", 4096, options=(("order", 3),))
    return to_pandas(
        builders.make_run(
            [
                builders.make_record(point, 2e-3, rounds=6, warnings=("contended",)),
                builders.make_failure(builders.make_point("flash", 4096), Outcome.OVER_BUDGET, "late", predicted_s=9.0),
            ]
        )
    )


def test_a_row_holds_the_point_and_its_numbers_in_base_units() -> None:
    row = sample().iloc[0]
    assert (row["operator"], row["options"], row["length"], row["outcome"]) == ("hyena", "order=3", 4096, "ok")
    assert row["median_s"] == pytest.approx(2e-3)
    assert row["visits"] == 6
    assert row["samples"] == 60
    assert row["flops_per_s"] == pytest.approx(4096e6 / 2e-3)
    assert row["bytes_per_s"] == pytest.approx(24 * 1024 * 4096 / 2e-3)
    assert row["peak_memory_bytes"] == 24 * 1024 * 4096
    assert row["warnings"] == "contended"


def test_a_failed_point_is_a_row_without_numbers() -> None:
    row = sample().iloc[1]
    assert (row["outcome"], row["reason"], row["predicted_s"]) == ("over_budget", "late", 9.0)
    assert row[["median_s", "low_s", "high_s", "precision", "flops_per_s", "peak_memory_bytes"]].isna().all()


def test_columns_and_types_are_the_documented_ones_even_of_an_empty_run() -> None:
    for frame in (sample(), to_pandas(builders.make_run([]))):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            name: column.dtype for name, column in COLUMNS.items()
        }


def test_csv_reads_back_to_the_same_numbers(tmp_path: Path) -> None:
    run = builders.make_run(builders.make_records(rounds=2))
    read = pd.read_csv(write_csv(run, tmp_path / "points.csv"))
    frame = to_pandas(run)
    assert list(read.columns) == list(COLUMNS)
    assert read["median_s"].to_list() == frame["median_s"].to_list()
    assert read["length"].to_list() == frame["length"].to_list()


def test_every_metric_is_a_column_with_its_own_value() -> None:
    record = builders.with_energy(builders.make_record(builders.make_point("hyena", 4096), 2e-3), 0.25)
    row = to_pandas(builders.make_run([record])).iloc[0]
    assert {name: row[name] for name in METRICS} == {name: metric.value(record) for name, metric in METRICS.items()}
    assert row["energy_j"] == 0.25
