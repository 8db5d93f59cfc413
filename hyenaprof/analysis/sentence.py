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
    "peak_memory": ("needs less memory than", "needs less memory"),
    "energy": ("needs less energy than", "needs less energy"),
}


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

    Args:
        crossover: Any state.
        names: Names to show for labels, from `shared_names` over all curves of a report; by default the operators',
            where the two differ.
    """
    shown = dict(names) if names is not None else shared_names((crossover.challenger, crossover.incumbent))
    ours = shown.get(crossover.challenger.label, crossover.challenger.label)
    theirs = shown.get(crossover.incumbent.label, crossover.incumbent.label)
    renamed = {crossover.challenger.label: ours, crossover.incumbent.label: theirs}
    return f"{_subject(crossover)}: {_statement(crossover, ours, theirs, renamed)}"


def _subject(crossover: Crossover) -> str:
    phase = str(crossover.challenger.phase)
    return phase if crossover.metric == "latency" else f"{phase}, {crossover.metric.replace('_', ' ')}"


def _statement(crossover: Crossover, ours: str, theirs: str, renamed: Mapping[str, str]) -> str:
    if crossover.state is CrossoverState.NO_DATA:
        return f"{ours} and {theirs} cannot be compared: {_renamed(crossover.reason or 'nothing measured', renamed)}"
    low, high = crossover.range or (0, 0)
    if crossover.state is CrossoverState.EQUAL:
        return f"{ours} and {theirs} are practically equal (within 2 %) from {low} to {high}"
    if crossover.state is CrossoverState.UNRESOLVED:
        return f"unresolved: noise hides which of {ours} and {theirs} leads between {low} and {high}"
    if crossover.state in (CrossoverState.NONE_IN_RANGE, CrossoverState.CENSORED):
        return _none_in_range(crossover, renamed)
    changes = "; ".join(_change(crossover, flip, renamed) for flip in crossover.flips)
    return changes if crossover.state is CrossoverState.RESOLVED else f"{len(crossover.flips)} changes: {changes}"


def _none_in_range(crossover: Crossover, renamed: Mapping[str, str]) -> str:
    winner = crossover.winner or crossover.incumbent.label
    low, high = crossover.range or (0, 0)
    verb = _VERBS[crossover.metric][1]
    ratio = crossover.comparisons[-1].ratio
    factor = format_ratio(max(ratio, 1 / ratio))
    where = f"at {high}, the only length measured" if low == high else f"up to {high}"
    if winner == crossover.challenger.label and low != high:
        where = f"from {low} up to {high}"
    text = f"not in range: {renamed[winner]} {verb} {where} ({factor} there)"
    if crossover.state is CrossoverState.CENSORED:
        return f"{text}; {_renamed(crossover.reason or '', renamed)}"
    return text


def _change(crossover: Crossover, flip: Flip, renamed: Mapping[str, str]) -> str:
    one, other = crossover.challenger.label, crossover.incumbent.label
    loser = other if flip.leader_after == one else one
    verb = _VERBS[crossover.metric][0]
    low, high = flip.bracket
    at = f"{flip.length:.0f}"
    interval = "" if flip.low is None or flip.high is None else f" [{flip.low:.0f}, {flip.high:.0f}]"
    return f"{renamed[flip.leader_after]} {verb} {renamed[loser]} between {low} and {high}, at about {at}{interval}"


def _renamed(text: str, names: Mapping[str, str]) -> str:
    for label in sorted(names, key=len, reverse=True):
        text = text.replace(label, names[label])
    return text
