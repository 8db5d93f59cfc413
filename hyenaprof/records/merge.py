"""Several runs as one: every visit once, none lost, and none paired that was not measured in one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import TypeVar

from hyenaprof.errors import JournalError, MergeError, ScenarioError
from hyenaprof.model import HeaderLine, JournalLine, Outcome, Visit, stable_hash
from hyenaprof.records import journal
from hyenaprof.records.scenario import OperatorChoice, Scenario
from hyenaprof.records.store import begin_folder, load_run
from hyenaprof.units import format_latency

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the runs to be merged: its page, and its journal's lines in order."""

    name: str
    scenario: Scenario
    lines: tuple[JournalLine, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """What several runs make together.

    Attributes:
        scenario: A page that names all that was measured.
        lines: Run after run, each header naming its run.
        visits: How many visits there are.
        repeated: How many more stood in several runs and count once.
    """

    scenario: Scenario
    lines: tuple[JournalLine, ...]
    visits: int
    repeated: int


def read_part(folder: Path) -> Part:
    """Reads a run's folder.

    Raises:
        JournalError: No run there, a corrupt line, or nothing was measured.
        ScenarioError: Its scenario cannot be read.
    """
    run = load_run(folder)
    if run.folder is None or not run.headers:
        raise JournalError(f"{folder.name}: the journal is empty", hint="merge runs that hold measurements")
    lines, warnings = journal.read_journal(run.folder / journal.NAME)
    return Part(str(folder), run.scenario, lines, warnings)


def merge(parts: Sequence[Part]) -> Merged:
    """Puts runs together by the key of a visit: (fingerprint id, point, round).

    Equal visits under one key count once. Of checks, memory and other lines beside the visits each different one is
    kept, and the last counts, as in any journal. Runs that were merged before are taken apart again, so that merging
    twice changes nothing.

    Raises:
        MergeError: Unequal visits under one key, which it lists.
        ScenarioError: The runs' pages differ in scope or options, so that no one page can name both.
    """
    if found := _contradictions(parts):
        raise MergeError(
            f"{len(found)} visits have the same fingerprint, point and round, and are not the same visit",
            hint="these are runs of one machine in their own right, not parts of one: report each for itself",
            contradictions=found,
        )
    runs: dict[str, dict[str, JournalLine]] = {}
    for part in parts:
        for run, line in _by_run(part.lines):
            runs.setdefault(run, {}).setdefault(line.model_dump_json(), line)
    lines = _each_visit_once(line for held in runs.values() for line in held.values())
    visits = sum(isinstance(line, Visit) for line in lines)
    stood = sum(isinstance(line, Visit) for part in parts for line in part.lines)
    return Merged(_page([part.scenario for part in parts]), lines, visits, stood - visits)


def _by_run(lines: Sequence[JournalLine]) -> Iterable[tuple[str, JournalLine]]:
    """Each line with its run: as an earlier merge named it, else after the journal's first header."""
    first = next(line for line in lines if isinstance(line, HeaderLine))
    own = run = first.run or stable_hash(first.model_dump(mode="json"))
    for line in lines:
        if isinstance(line, HeaderLine):
            run = line.run or own
            yield run, line.model_copy(update={"run": run})
        else:
            yield run, line


def _each_visit_once(lines: Iterable[JournalLine]) -> tuple[JournalLine, ...]:
    """The first of the visits under each key: within one journal, too, a later one does not count."""
    seen: set[tuple[str, str, int]] = set()
    kept = []
    for line in lines:
        if isinstance(line, Visit):
            if line.key in seen:
                continue
            seen.add(line.key)
        kept.append(line)
    return tuple(kept)


def _contradictions(parts: Sequence[Part]) -> tuple[str, ...]:
    """Visits of two parts under one key that are not equal, each with what it is in both."""
    first: dict[tuple[str, str, int], tuple[str, Visit]] = {}
    found = []
    for part in parts:
        for line in _each_visit_once(part.lines):
            if isinstance(line, Visit):
                name, known = first.setdefault(line.key, (part.name, line))
                if known != line:
                    said = f"{_outcome(known)} in {name}, {_outcome(line)} in {part.name}"
                    found.append(f"{line.point}, round {line.round + 1}, fingerprint {line.fingerprint_id}: {said}")
    return tuple(found)


def _outcome(visit: Visit) -> str:
    return format_latency(median(visit.clean_s)) if visit.outcome is Outcome.OK and visit.clean_s else visit.outcome


def _page(scenarios: Sequence[Scenario]) -> Scenario:
    """The first page, widened to all that the others name.

    Raises:
        ScenarioError: They differ in what a page has but one of.
    """
    first = scenarios[0]
    _refuse_other_scopes(scenarios)
    if len({scenario.hash for scenario in scenarios}) == 1:
        return first
    heads = [count for scenario in scenarios for width in scenario.width for count in scenario.heads_of(width)]
    return first.model_copy(
        update={
            "name": _name(scenarios),
            "operators": _operators(scenarios),
            "phases": _union(scenario.phases for scenario in scenarios),
            "lengths": tuple(sorted(_union(scenario.lengths for scenario in scenarios))),
            "batch": _union(scenario.batch for scenario in scenarios),
            "width": _union(scenario.width for scenario in scenarios),
            "heads": None if all(scenario.heads is None for scenario in scenarios) else _union([heads]),
            "dtype": _union(scenario.dtype for scenario in scenarios),
        }
    )


def _name(scenarios: Sequence[Scenario]) -> str:
    return "-and-".join(_union([[scenario.name for scenario in scenarios]]))[:80].rstrip("-")


def _union(values: Iterable[Iterable[_T]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(value for held in values for value in held))


def _refuse_other_scopes(scenarios: Sequence[Scenario]) -> None:
    scopes = _union([[scenario.scope for scenario in scenarios]])
    if len(scopes) > 1:
        raise ScenarioError(f"the runs time {' and '.join(map(str, scopes))}", hint="merge runs of one scope")


def _operators(scenarios: Sequence[Scenario]) -> dict[str, OperatorChoice]:
    """Each operator with all implementations that any page names; none where one left the choice open."""
    found: dict[str, OperatorChoice] = {}
    for scenario in scenarios:
        for name, choice in scenario.operators.items():
            known = found.setdefault(name, choice)
            if known.options != choice.options:
                raise ScenarioError(
                    f"the runs set other options of {name}: {dict(known.options)} and {dict(choice.options)}",
                    hint="merge runs whose operators are the same",
                )
            named = known.implementations and choice.implementations
            both = tuple(dict.fromkeys((*known.implementations, *choice.implementations))) if named else ()
            found[name] = known.model_copy(update={"implementations": both})
    return found


def write(merged: Merged, out: Path | None, root: Path = Path("runs")) -> Path:
    """Writes a merged run's page and journal.

    Args:
        merged: What was merged.
        out: The folder that the user named; by default one that is named after the page and `merged`.
        root: Where runs go that were given no folder.

    Returns:
        The folder.

    Raises:
        JournalError: It holds something already, or cannot be written.
    """
    folder = out or _free(root / f"{merged.scenario.name}-{merged.scenario.hash}-merged")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise JournalError(f"{folder.name} holds something already", hint="name a new or an empty folder with --out")
    begin_folder(folder, merged.scenario)
    with journal.Journal(folder / journal.NAME) as written:
        written.append(merged.lines)
    return folder


def _free(folder: Path) -> Path:
    numbered = (folder if number == 1 else folder.with_name(f"{folder.name}-{number}") for number in count(1))
    return next(candidate for candidate in numbered if not candidate.exists())
