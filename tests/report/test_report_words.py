from __future__ import annotations

import builders
import pytest

from hyenaprof.model import Comparison, Summary
from hyenaprof.report.words import brief, device_name, grouped, latency_bounds, latency_interval, ratio_interval


def summary(median_s: float, low_s: float | None, high_s: float | None) -> Summary:
    return Summary(
        median_s=median_s,
        low_s=low_s,
        high_s=high_s,
        visits=5,
        samples=50,
        precision=None,
        within_spread=None,
        between_spread=None,
        unstable=False,
    )


def test_an_interval_is_in_the_median_s_unit_even_across_a_change_of_unit() -> None:
    assert latency_interval(summary(0.98e-3, 0.95e-3, 1.02e-3)) == "980 us [950, 1020]"
    assert latency_bounds(summary(12.3e-3, 12.1e-3, 12.6e-3)) == "[12.1, 12.6] ms"
    assert latency_bounds(summary(12.3e-3, 12.1e-3, 12.6e-3), unit=False) == "[12.1, 12.6]"


def test_a_single_visit_has_a_median_and_no_interval() -> None:
    assert latency_interval(summary(2.0, None, None)) == "2 s"
    assert latency_bounds(summary(2.0, None, None)) == "–"  # noqa: RUF001 -- the sign for an unknown number


def test_a_number_that_is_not_finite_is_unknown() -> None:
    assert latency_bounds(summary(1.0, float("nan"), 2.0)) == "–"  # noqa: RUF001 -- the sign for an unknown number
    assert ratio_interval(Comparison(1024, float("inf"), None, None, rounds=1)) == "–"  # noqa: RUF001 -- likewise


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.02, 1.2, "1.1x [1.02, 1.2]"),
        (0.97, 1.2, "~ 1.1x [0.97, 1.2]"),
        (None, None, "1.1x"),
    ],
)
def test_a_ratio_is_marked_where_its_interval_covers_no_difference(
    low: float | None, high: float | None, expected: str
) -> None:
    assert ratio_interval(Comparison(1024, 1.1, low, high, rounds=3)) == expected


def test_an_unknown_ratio_is_a_dash() -> None:
    assert ratio_interval(None) == "–"  # noqa: RUF001 -- the sign for an unknown number


def test_a_device_is_named_as_its_fingerprint_names_it() -> None:
    fingerprint = builders.make_fingerprint()
    assert device_name([fingerprint, fingerprint], "cpu") == "Example CPU"
    assert device_name([fingerprint], "cuda") == "cuda"
    assert device_name([], "cpu") == "cpu"


def test_warnings_are_grouped_by_what_stands_before_the_colon() -> None:
    kinds = grouped(["contended: a", "throttled", "contended: b: c", "contended: a"])
    assert kinds == {"contended": ["a", "b: c"], "throttled": [""]}
    assert [brief(kind, details) for kind, details in kinds.items()] == [
        "contended: a (and 1 more like it)",
        "throttled",
    ]
