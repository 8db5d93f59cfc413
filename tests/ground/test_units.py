from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyenaprof import units
from hyenaprof.errors import ScenarioError

LENGTHS = st.integers(min_value=1, max_value=units.MAX_LENGTH)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("131072", 131072),
        ("131_072", 131072),
        ("128k", 131072),
        ("128K", 131072),
        ("1M", 1048576),
        ("1m", 1048576),
        ("1024k", 1048576),
        ("1", 1),
        (8192, 8192),
        (" 2k ", 2048),
    ],
)
def test_a_length_parses_as_documented(text, length):
    assert units.parse_length(text) == length


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5k", "2M", "1048577", "k", "", "8192 tokens", "_1", True, "1e3", "\uff11k"]
)
def test_a_bad_length_is_refused_with_a_hint(text):
    with pytest.raises(ScenarioError) as caught:
        units.parse_length(text)
    assert caught.value.hint


@given(LENGTHS)
def test_a_length_survives_being_written_and_read(length):
    assert units.parse_length(units.format_length(length)) == length


@given(st.floats(min_value=1, max_value=units.MAX_LENGTH))
def test_a_fractional_length_is_written_to_the_nearest_token(length):
    assert units.parse_length(units.format_length(length)) == round(length)


@pytest.mark.parametrize(
    ("length", "text"), [(16384, "16k"), (1048576, "1M"), (1000, "1000"), (1536, "1536"), (1490.4, "1490")]
)
def test_a_length_is_written_short_only_where_that_is_exact(length, text):
    assert units.format_length(length) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), ("250ms", 0.25), (90.5, 90.5), (".5m", 30)],
)
def test_a_duration_parses_as_documented(text, seconds):
    assert units.parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["0", "0s", "-5m", "ten", "", "10 d", "inf", "nan", "9" * 400])
def test_a_bad_duration_is_refused_with_a_hint(text):
    with pytest.raises(ScenarioError) as caught:
        units.parse_duration(text)
    assert caught.value.hint


@pytest.mark.parametrize(("text", "fraction"), [("2%", 0.02), ("0.02", 0.02), (0.5, 0.5), ("100%", 1.0), ("1 %", 0.01)])
def test_a_fraction_parses_as_documented(text, fraction):
    assert units.parse_fraction(text) == pytest.approx(fraction, rel=1e-12)


@pytest.mark.parametrize("text", ["0", "0%", "101%", "1.5", "-1%", "two", ""])
def test_a_bad_fraction_is_refused_with_a_hint(text):
    with pytest.raises(ScenarioError) as caught:
        units.parse_fraction(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("latency_s", "text"),
    [
        (1.84e-3, "1.84 ms"),
        (2.5, "2.5 s"),
        (3.21e-5, "32.1 us"),
        (4e-10, "0.4 ns"),
        (0.0, "0 ns"),
        (1234.0, "1234 s"),
        (None, units.UNKNOWN),
    ],
)
def test_a_latency_is_written_with_three_digits_and_its_unit(latency_s, text):
    assert units.format_latency(latency_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (24 * 2**20, "24 MiB"),
        (12 * 2**30, "12 GiB"),
        (512, "512 B"),
        (1536, "1.5 KiB"),
        (0, "0 B"),
        (None, units.UNKNOWN),
    ],
)
def test_bytes_are_written_in_binary_units(size_bytes, text):
    assert units.format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(4.21, "4.2 s"), (59.0, "59 s"), (200.0, "3 m 20 s"), (3900.0, "1 h 05 m"), (None, units.UNKNOWN)],
)
def test_human_time_is_written_in_human_units(duration_s, text):
    assert units.format_duration(duration_s) == text


def test_rates_counts_ratios_and_percentages_are_written_with_three_digits():
    assert units.format_rate(177e9, "FLOP") == "177 GFLOP/s"
    assert units.format_count(12.9e9, "FLOP") == "12.9 GFLOP"
    assert units.format_ratio(11.404) == "11.4x"
    assert units.format_ratio(12345.6) == "12346x"
    assert units.format_percent(0.0213) == "2.1 %"
    assert units.format_percent(1.5) == "150 %"


@pytest.mark.parametrize(
    "written",
    [
        units.format_rate(None, "FLOP"),
        units.format_count(None, "FLOP"),
        units.format_ratio(None),
        units.format_percent(None),
    ],
)
def test_what_is_not_known_is_a_dash_and_never_zero(written):
    assert written == units.UNKNOWN


def test_a_number_just_below_a_thousand_is_not_written_with_an_exponent():
    assert units.format_latency(999.6e-6) == "1000 us"
    assert units.format_bytes(1023) == "1023 B"
    assert units.format_ratio(999.7) == "1000x"
    assert units.format_percent(0.997) == "100 %"


@given(st.floats(min_value=1e-9, max_value=1e4))
def test_a_written_latency_is_within_half_a_percent_of_the_number(latency_s):
    number, unit = units.format_latency(latency_s).split()
    assert float(number) * {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[unit] == pytest.approx(latency_s, rel=5e-3)
