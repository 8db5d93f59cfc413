"""A crossover in one sentence, for the terminal and the head of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from hyenaprof.model import Crossover, CrossoverState, Curve, Flip, Outcome
from hyenaprof.units import format_ratio

OUTCOME_WORDS: dict[Outcome, str] = {
    Outcome.OK: "ok",
    Outcome.OOM: "out of memory",
    Outcome.TIMEOUT: "timeout",
    Outcome.CRASHED: "crashed",
    Outcome.INCORRECT: "incorrect",
    Outcome.UNSUPPORTED: "unsupported",
    Outcome.OVER_BUDGET: "over budget",
    Outcome.IMPLAUSIBLE: "implausible",
}
_VERBS = {
    "latency": ("overtakes", "is faster"),
    "peak_memory": ("undercuts", "needs less memory"),
    "energy": ("undercuts", "needs less energy"),
}
LEAST_ROUNDS = 3
"""Below it a ratio has no interval: two rounds leave one degree of freedom."""
SETTING_FIELDS = ("scope", "batch", "width", "heads", "dtype", "device")


def shared_names(curves: Iterable[Curve]) -> dict[str, str]:
    """Shortest unambiguous name of each curve's label: `hyena`, or `hyena:fft` beside another implementation."""
    labels: dict[str, set[str]] = defaultdict(set)
    for curve in curves:
        labels[curve.operator].add(curve.label)
    return {
        label: operator if len(held) == 1 and "[" not in label else label
        for operator, held in labels.items()
        for label in held
    }


def sentence(crossover: Crossover, names: Mapping[str, str] | None = None) -> str:
    """States a crossover, e.g. "training: hyena overtakes flash between 1024 and 2048, at about 1490 [1430, 1560]".

    Between stand the lengths at which the two sides' leads are significant, where both are known, else the neighbours
    whose estimates differ in sign.

    Args:
        crossover: Any state.
        names: Names to show for labels, from `shared_names` over all curves of a report; by default the operators',
            where the two differ.
    """
    sides = (crossover.challenger, crossover.incumbent)
    shown = {**shared_names(sides), **(names or {})}
    statement = _statement(crossover, {side.label: shown[side.label] for side in sides})
    return f"{_subject(crossover)}: {statement}{_unpaired(crossover)}"


def _subject(crossover: Crossover) -> str:
    phase = str(crossover.challenger.phase)
    return phase if crossover.metric == "latency" else f"{phase}, {crossover.metric.replace('_', ' ')}"


def _unpaired(crossover: Crossover) -> str:
    apart = sum(not comparison.paired and comparison.low is not None for comparison in crossover.comparisons)
    return f"; not paired at {apart} of {len(crossover.comparisons)} lengths" if apart else ""


def _statement(crossover: Crossover, names: Mapping[str, str]) -> str:
    ours, theirs = names[crossover.challenger.label], names[crossover.incumbent.label]
    low, high = crossover.range or (0, 0)
    match crossover.state:
        case CrossoverState.NO_DATA:
            reason = _renamed(crossover.reason or "nothing was measured", names)
            return f"{ours} and {theirs} cannot be compared: {reason}"
        case CrossoverState.EQUAL:
            both = f"{ours} and {theirs} are practically equal (within 2 %) from {low} to {high}"
            return both + _stopped(crossover, names)
        case CrossoverState.UNRESOLVED:
            return _unresolved(crossover, f"{ours} and {theirs}") + _stopped(crossover, names)
        case CrossoverState.RESOLVED:
            return _change(crossover, crossover.flips[0], names) + _equal(crossover)
        case CrossoverState.SEVERAL:
            changes = "; ".join(_change(crossover, flip, names) for flip in crossover.flips)
            return f"{len(crossover.flips)} changes of the lead: {changes}{_equal(crossover)}"
        case _:
            return _one_leads(crossover, names) + _stopped(crossover, names) + _equal(crossover)


def _stopped(crossover: Crossover, names: Mapping[str, str]) -> str:
    """Where and why a side ended past the last common length."""
    return f"; {_renamed(crossover.reason, names)}" if crossover.reason else ""


def _equal(crossover: Crossover) -> str:
    zone = crossover.equal_zone
    return f"; practically equal (within 2 %) from {zone[0]} to {zone[1]}" if zone else ""


def _unresolved(crossover: Crossover, both: str) -> str:
    low, high = crossover.range or (0, 0)
    if low == high:
        return f"unresolved: noise hides which of {both} leads at {low}, the only length measured on both sides"
    if crossover.flips:
        bracket = crossover.flips[0].bracket
        return f"unresolved: the lead seems to change between {bracket[0]} and {bracket[1]}, but noise hides it"
    return f"unresolved: noise hides which of {both} leads between {low} and {high}"


def _one_leads(crossover: Crossover, names: Mapping[str, str]) -> str:
    winner = crossover.winner or crossover.incumbent.label
    low, high = crossover.range or (0, 0)
    last = crossover.comparisons[-1]
    by = format_ratio(max(last.ratio, 1 / last.ratio))
    leads = f"{names[winner]} {_VERBS[crossover.metric][1]}"
    if low == high:
        there = f"at {low}, the only length measured on both sides ({by}{_caveat(crossover)})"
        return f"{leads} {there}: where they cross cannot be said"
    reach = f"{_from(crossover, low)} up to {high}" if winner == crossover.challenger.label else f"up to {high}"
    return f"not in range: {leads} {reach} ({by} there{_caveat(crossover)})"


def _from(crossover: Crossover, low: int) -> str:
    """Where a challenger that leads throughout is first clearly ahead; below it the intervals cover no difference."""
    clear = next((c.length for c in crossover.comparisons if c.low is None or c.leader == "challenger"), low)
    return f"already from {low}" if clear == low else f"from {clear} (below it neither clearly is, from {low})"


def _caveat(crossover: Crossover) -> str:
    """Says so where a lead rests on too few rounds to have an interval; memory needs none."""
    last = crossover.comparisons[-1]
    if crossover.metric != "latency" or last.low is not None:
        return ""
    if last.rounds == 1:
        return "; 1 round only, no interval"
    return f"; {last.rounds} rounds: an interval needs {LEAST_ROUNDS}"


def _change(crossover: Crossover, flip: Flip, names: Mapping[str, str]) -> str:
    one, other = crossover.challenger.label, crossover.incumbent.label
    loser = other if flip.leader_after == one else one
    low, high = _between(crossover, flip)
    verb = _VERBS[crossover.metric][0]
    interval = "" if flip.low is None or flip.high is None else f" [{flip.low:.0f}, {flip.high:.0f}]"
    at = f"at about {flip.length:.0f}{interval}"
    return f"{names[flip.leader_after]} {verb} {names[loser]} between {low} and {high}, {at}"


def _between(crossover: Crossover, flip: Flip) -> tuple[int, int]:
    """The significant bracket, else the sign bracket, stretched to measured lengths that hold the estimate."""
    low, high = (
        known if known is not None else sign for known, sign in zip(flip.significant, flip.bracket, strict=True)
    )
    lengths = [comparison.length for comparison in crossover.comparisons]
    return (
        max((length for length in lengths if length <= min(low, flip.length)), default=low),
        min((length for length in lengths if length >= max(high, flip.length)), default=high),
    )


def _renamed(text: str, names: Mapping[str, str]) -> str:
    for label in sorted(names, key=len, reverse=True):
        text = text.replace(label, names[label])
    return text


def settings_apart(curves: Iterable[Curve]) -> dict[Curve, str]:
    """What tells each curve's setting from the others': `width 64, float32`; empty where all share one."""
    held = list(curves)
    varying = [name for name in SETTING_FIELDS if len({getattr(curve, name) for curve in held}) > 1]

    def words(curve: Curve) -> str:
        values = ((name, getattr(curve, name)) for name in varying)
        return ", ".join(f"{name} {value}" if isinstance(value, int) else f"{value}" for name, value in values)

    return {curve: words(curve) for curve in held}
