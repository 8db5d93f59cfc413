"""The lengths of a scenario that are given by a range: `{from: 1k, to: 128k, factor: 2}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyenaprof.errors import ScenarioError, did_you_mean
from hyenaprof.units import MAX_LENGTH, format_length, parse_length

DEFAULT_FROM = 1024
DEFAULT_TO = 128 * 1024


def length_grid(lengths: Mapping[str, Any]) -> tuple[int, ...]:
    """Expands `{from: 1k, to: 128k, factor: 2}` to lengths in tokens; `from` is 1k unless `to` is shorter.

    Raises:
        ScenarioError: Unknown keys, a factor that does not grow, or from past to.
    """
    for key in lengths:
        if key not in {"from", "to", "factor"}:
            raise ScenarioError(f"lengths: no key {key!r}", hint=did_you_mean(str(key), ("from", "to", "factor")))
    stop = parse_length(lengths.get("to", DEFAULT_TO))
    start = parse_length(lengths["from"]) if "from" in lengths else min(DEFAULT_FROM, stop)
    factor = lengths.get("factor", 2)
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not 1.05 <= factor <= MAX_LENGTH:
        raise ScenarioError(f"lengths: factor {factor!r} does not grow", hint="write a factor of at least 1.05, say 2")
    if start > stop:
        raise ScenarioError(
            f"lengths: from {format_length(start)} is past to {format_length(stop)}",
            hint="raise --max-len or lower --min-len",
        )
    grid = [start]
    while (following := max(grid[-1] + 1, round(grid[-1] * factor))) <= stop:
        grid.append(following)
    return tuple(grid)
