"""Numbers to text and back: the only place where a base unit becomes `1.84 ms`, or `128k` a length."""

from __future__ import annotations

import math
import re

from hyenaprof.errors import ScenarioError

UNKNOWN = "–"  # noqa: RUF001 -- the sign for a number that is not known
KIBI = 1024
MAX_LENGTH = KIBI**2
_DURATIONS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_NUMBER = r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?"
"""Exponents too: a scenario written to disk holds a small float as 5e-05."""
_LENGTH_SUFFIXES = {"": 1, "k": KIBI, "m": KIBI**2}


def parse_length(text: str | int) -> int:
    """Reads a sequence length in tokens: 131072, 131_072, 128k (k = 1024) or 1M.

    Raises:
        ScenarioError: Not a whole number, below 1, or past 1M.
    """
    match = re.fullmatch(r"([0-9][0-9_]*)([kKmM]?)", str(text).strip())
    if match is None or isinstance(text, bool):
        raise ScenarioError(f"{text!r} is not a sequence length", hint="write 131072, 131_072, 128k or 1M (k = 1024)")
    length = int(match[1].replace("_", "")) * _LENGTH_SUFFIXES[match[2].lower()]
    if not 1 <= length <= MAX_LENGTH:
        raise ScenarioError(f"length {text} is outside 1 to 1M", hint=f"lengths run from 1 to 1M ({MAX_LENGTH}) tokens")
    return length


def format_length(length: float) -> str:
    """Writes a length in tokens as `16k` or `1M` where that is exact, else in full."""
    whole = round(length)
    if whole == length and whole >= KIBI**2 and whole % KIBI**2 == 0:
        return f"{whole // KIBI**2}M"
    if whole == length and whole >= KIBI and whole % KIBI == 0:
        return f"{whole // KIBI}k"
    return str(whole)


def parse_duration(text: str | float) -> float:
    """Reads a duration in seconds: 90, 90s, 10m, 1.5h or 250ms.

    Raises:
        ScenarioError: Not a positive, finite duration.
    """
    match = re.fullmatch(rf"({_NUMBER})\s*(ms|s|min|m|h)?", str(text).strip())
    if match is None:
        raise ScenarioError(f"{text!r} is not a duration", hint="write 90s, 10m or 1.5h")
    duration_s = float(match[1]) * _DURATIONS_S[match[2] or "s"]
    if not 0 < duration_s < math.inf:
        raise ScenarioError(f"duration {text} is not positive", hint="write 90s, 10m or 1.5h")
    return duration_s


def parse_fraction(text: str | float) -> float:
    """Reads a fraction: `2%`, `0.02` or 0.02.

    Raises:
        ScenarioError: Not a number above 0 and at most 1.
    """
    match = re.fullmatch(rf"({_NUMBER})\s*(%?)", str(text).strip())
    fraction = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    if not 0 < fraction <= 1:
        raise ScenarioError(f"{text!r} is not a fraction above 0 and at most 100%", hint="write 2% or 0.02")
    return fraction


def format_duration(duration_s: float | None) -> str:
    """Writes a span of human time in seconds: `4.2 s`, `3 m 20 s`, `1 h 05 m`."""
    if duration_s is None:
        return UNKNOWN
    if duration_s < 60:
        return f"{duration_s:.1f} s" if duration_s < 10 else f"{duration_s:.0f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    return f"{minutes} m {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} m"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    size, unit = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{_digits(value / size)} {unit}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"  # past it, .3g would write 1e+03


def format_latency(latency_s: float | None) -> str:
    """Writes an operator's time in seconds with three digits: `1.84 ms`."""
    if latency_s is None:
        return UNKNOWN
    return _scaled(latency_s, ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")))


def format_bytes(size_bytes: float | None) -> str:
    """Writes bytes in binary units with three digits: `24 MiB`."""
    if size_bytes is None:
        return UNKNOWN
    return _scaled(size_bytes, ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")))


def format_rate(per_s: float | None, unit: str) -> str:
    """Writes a rate per second in decimal units with three digits: `177 GFLOP/s`."""
    if per_s is None:
        return UNKNOWN
    return _scaled(per_s, ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))) + f"{unit}/s"


def format_count(count: float | None, unit: str) -> str:
    """Writes a count in decimal units with three digits: `12.9 GFLOP`."""
    if count is None:
        return UNKNOWN
    return _scaled(count, ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))) + unit


def format_energy(energy_j: float | None) -> str:
    """Writes joules with three digits: `12.4 mJ`."""
    if energy_j is None:
        return UNKNOWN
    return _scaled(energy_j, ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ"), (1e-9, "nJ")))


def format_ratio(ratio: float | None) -> str:
    """Writes a ratio with three digits: `1.84x`."""
    if ratio is None:
        return UNKNOWN
    return f"{_digits(ratio)}x"


def format_close_ratio(ratio: float | None) -> str:
    """Writes a ratio near 1 with three decimals: `1.118x`."""
    if ratio is None:
        return UNKNOWN
    return f"{ratio:.3f}x" if ratio < 9.9995 else format_ratio(ratio)


def format_percent(fraction: float | None) -> str:
    """Writes a fraction as a percentage: 0.0213 is `2.1 %`."""
    if fraction is None:
        return UNKNOWN
    percent = fraction * 100
    return f"{percent:.2g} %" if abs(percent) < 99.5 else f"{percent:.0f} %"
