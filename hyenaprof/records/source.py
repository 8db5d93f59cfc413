"""Where numbers come from: a run's folder or a table of times, read into one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyenaprof.errors import JournalError, TableError
from hyenaprof.model import Fingerprint, Record
from hyenaprof.records.journal import NAME
from hyenaprof.records.store import Run, load_run
from hyenaprof.records.table_file import SETTING_COLUMNS, read_table
from hyenaprof.resources import scenario_files, table_files

TABLE_SUFFIXES = (".csv", ".json")


@dataclass(frozen=True, slots=True)
class Source:
    """Records, and what is known of them beyond their points.

    Attributes:
        name: Of the table's file or the run's folder.
        records: In any order.
        stated: Which of phase, scope, batch, width, heads, dtype and device mean something: all of a run's.
        fingerprints: Of a run; empty for a table.
        warnings: What qualifies all of it.
    """

    name: str
    records: tuple[Record, ...]
    stated: frozenset[str] = frozenset(SETTING_COLUMNS)
    fingerprints: tuple[Fingerprint, ...] = ()
    warnings: tuple[str, ...] = ()


def holds_numbers(text: str) -> bool:
    """Whether a command's argument names a table or a run, and not a scenario to be measured."""
    path = Path(text)
    if path.suffix.lower() in TABLE_SUFFIXES or path.name == NAME:
        return True
    return path.is_dir() and ((path / NAME).is_file() or text not in scenario_files())


def read_source(text: str) -> Source:
    """Reads a table (a file of one's own before a shipped one of that name), or a run's folder.

    Raises:
        TableError: A table that is not there or cannot be read.
        JournalError: No run there, a corrupt line, or a run merged from several machines or protocols.
    """
    path = Path(text)
    refuse_other_file(path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return _of_one_machine(source_of(load_run(path)))
    table = read_table(path if path.exists() else table_files().get(text, path))
    return Source(name=table.source, records=table.records, stated=table.stated, warnings=table.warnings)


def refuse_other_file(path: Path) -> None:
    """Refuses a file that is there and by its ending neither a table, nor of a run, nor YAML.

    Raises:
        TableError: It is such a file.
    """
    if path.suffix.lower() not in {*TABLE_SUFFIXES, ".yaml", ".yml", ""} and path.name != NAME and path.is_file():
        raise TableError(
            f"{path.name} is not named as a table", hint="a table of times must be named .csv (commas) or .json"
        )


def _of_one_machine(source: Source) -> Source:
    count = len({record.conditions for record in source.records})
    if count > 1:
        raise JournalError(
            f"{source.name} was merged from {count} machines or protocols",
            hint=f"name one of the runs it was merged from, or `hyenaprof report {source.name}` for all side by side",
        )
    return source


def source_of(run: Run) -> Source:
    """A run as a source of numbers."""
    name = run.folder.resolve().name if run.folder else run.scenario.name
    return Source(name=name, records=run.records, fingerprints=tuple(run.fingerprints.values()), warnings=run.warnings)
