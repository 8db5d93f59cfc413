"""Metrics of one point whose numbers are round."""

from dataclasses import replace

import pytest
from builders import make_failure, make_point, make_record, make_visit
from simulator import record_of

from hyenaprof.analysis.metrics import METRICS
from hyenaprof.model import Phase

RECORD = make_record(make_point("hyena", 1024, batch=2), 1e-3, rounds=3)
EXPECTED = {
    "median_s": (1e-3, "1 ms"),
    "tokens_per_s": (2 * 1024 / 1e-3, "2.05 Mtoken/s"),
    "flops_per_s": (1024e6 / 1e-3, "1.02 TFLOP/s"),
    "bytes_per_s": (24 * 1024 * 1024 / 1e-3, "25.2 GB/s"),
    "peak_memory_bytes": (24 * 1024 * 1024, "24 MiB"),
    "peak_memory_bytes_per_token": (12 * 1024, "12 KiB/token"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_metric_is_the_known_number_in_its_unit(name):
    value, text = EXPECTED[name]
    metric = METRICS[name]
    assert metric.value(RECORD) == pytest.approx(value)
    assert metric.show(metric.value(RECORD)) == text


def test_energy_is_the_median_over_visits_of_a_call_and_per_token():
    point = make_point("hyena", 1024, batch=2)
    visits = [make_visit(point, round=n).model_copy(update={"energy_j": 0.2 + 0.1 * n}) for n in range(3)]
    metric = METRICS["energy_j_per_token"]
    assert metric.value(record_of(point, visits)) == pytest.approx(0.3 / 2048)
    assert metric.show(0.3 / 2048) == "146 uJ/token"
    assert METRICS["energy_j"].value(record_of(point, visits)) == pytest.approx(0.3)
    assert METRICS["energy_j"].show(0.3) == "300 mJ"


def test_decoding_works_on_one_token_a_sequence():
    record = make_record(make_point("hyena", 1024, batch=2, phase=Phase.DECODE), 1e-3)
    assert METRICS["tokens_per_s"].value(record) == pytest.approx(2 / 1e-3)


@pytest.mark.parametrize("name", METRICS)
def test_what_was_not_measured_is_a_dash(name):
    failed = replace(make_failure(make_point()), cost=None)
    assert METRICS[name].value(failed) is None
    assert METRICS[name].show(None) == "\N{EN DASH}"


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_where_it_comes_from(name):
    metric = METRICS[name]
    assert metric.title
    assert metric.source
    assert metric.better in {"lower", "higher"}
