"""Tables of times from anywhere, read as records: CSV or JSON with a row a time, or the CSV of Triton's `perf_report`."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from hyenaprof.errors import HyenaprofError, ScenarioError, TableError, did_you_mean
from hyenaprof.model import DType, MemoryLine, Outcome, Phase, Point, Record, Scope, Shape, Visit
from hyenaprof.units import MAX_LENGTH, parse_length

TIME_UNITS_S = {"latency_s": 1.0, "latency_ms": 1e-3, "latency_us": 1e-6}
SETTING_COLUMNS = ("phase", "scope", "batch", "width", "heads", "dtype", "device")
OTHER_COLUMNS = ("operator", "length", "round", "peak_memory_bytes")
IMPLEMENTATION = "table"
"""Stands for the implementation where the table names none after a colon."""
FINGERPRINT_ID = "table"
_NOTHING = {"", "-", "\N{EN DASH}", "none", "null", "n/a"}
_OUTCOMES = {"oom": Outcome.OOM, "out of memory": Outcome.OOM, "timeout": Outcome.TIMEOUT, "crashed": Outcome.CRASHED}
_TRITON_LABEL = re.compile(r"(?P<name>.+?)(?: \((?P<unit>[^()]*)\))?")
_TRITON_UNITS = {"": "latency_ms", "ms": "latency_ms", "s": "latency_s", "us": "latency_us"}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_JSON_ROW = '[{"operator": "hyena", "length": 1024, "latency_ms": 1.5}, ...]'
UNPAIRED = "repetitions are not paired: a column `round` would say which were made together"

Row = dict[str, str]
Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table of times.

    Attributes:
        source: Name of the file.
        records: One for each operator, length and setting; each row of theirs is a visit.
        stated: Which of phase, scope, batch, width, heads, dtype and device the table tells; the others hold
            placeholders that mean nothing.
        warnings: What was taken for granted.
    """

    source: str
    records: tuple[Record, ...]
    stated: frozenset[str]
    warnings: tuple[str, ...] = ()


def read_table(path: Path) -> TableFile:
    """Reads a table of times.

    Columns: operator (`name` or `name:implementation`), length, one of latency_s, latency_ms and latency_us, and where
    known phase, scope, batch, width, heads, dtype, device, round and peak_memory_bytes. Rows of one operator at one
    length are repetitions, but for rows that are the same in every cell; they are compared in pairs where a column
    `round` says which belong together. A time of `oom`, `timeout` or `crashed` is that outcome, an empty one is passed
    over, unless an operator has no other: then it is there, without a time. JSON is a list of such rows. A CSV
    without a column `operator` is read as Triton's `perf_report` writes it: lengths first, then one column an operator.
    A first column without a name is an index, and is passed over.

    Raises:
        TableError: No such file, or a row that cannot be read, named by its line.
    """
    as_json = path.suffix.lower() == ".json"
    rows = _json_rows(path) if as_json else _csv_rows(path)
    if not rows:
        raise TableError(
            f"{path.name} holds no rows", hint=_JSON_ROW if as_json else "a header line and one row a time"
        )
    warnings: tuple[str, ...] = ()
    if "operator" not in rows[0][1]:
        rows, warnings = _long_form(path.name, rows)
    _check_columns(path.name, rows[0][1])
    unit = _unit(path.name, rows[0][1])
    once = _once(rows)
    records = _records(path.name, once, unit)
    return TableFile(
        source=path.name,
        records=records,
        stated=frozenset(name for name in SETTING_COLUMNS if name in rows[0][1]),
        warnings=(*warnings, *_repetitions(len(rows) - len(once), records, paired="round" in rows[0][1])),
    )


def _once(rows: Iterable[tuple[int, Row]]) -> list[tuple[int, Row]]:
    """The rows, those that are the same in every cell but once."""
    seen: dict[frozenset[tuple[str, str]], tuple[int, Row]] = {}
    for line, row in rows:
        seen.setdefault(frozenset(row.items()), (line, row))
    return list(seen.values())


def _repetitions(dropped: int, records: Sequence[Record], *, paired: bool) -> Iterator[str]:
    """What is to be said of rows that stand twice, and of repetitions that nothing pairs."""
    if dropped:
        yield f"{'1 row stands twice and was' if dropped == 1 else f'{dropped} rows stand twice and were'} counted once"
    labels = {record.point.label for record in records}
    if not paired and len(labels) > 1 and any(len(record.visits) > 1 for record in records):
        yield UNPAIRED


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TableError(f"no table {path.name}", hint="give the path of a .csv or .json file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path.name} cannot be read: {type(error).__name__}", hint="a table is UTF-8 text") from None


def _csv_rows(path: Path) -> list[tuple[int, Row]]:
    lines = csv.reader(_text(path).splitlines())
    filled = [(lines.line_num, [cell.strip() for cell in cells]) for cells in lines if any(cells)]
    if not filled:
        return []
    (_, names), *body = filled
    _check_header(path.name, names)
    for line, cells in body:
        if any(cells[len(names) :]) or any(
            cell for name, cell in list(zip(names, cells, strict=False))[1:] if not name
        ):
            raise TableError(f"{path.name} line {line} has more cells than the header", hint="quote commas")
    return [
        (line, {name: cell for name, cell in zip_longest(names, cells[: len(names)], fillvalue="") if name})
        for line, cells in body
    ]


def _check_header(source: str, names: Sequence[str]) -> None:
    used = next((name for mark, name in _SEPARATORS.items() if len(names) == 1 and mark in names[0]), None)
    if used:
        raise TableError(f"{source} is separated by {used}", hint="separate its cells by commas")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise TableError(f"{source} has two columns {twice}", hint="keep one of them")


def _json_rows(path: Path) -> list[tuple[int, Row]]:
    try:
        held = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise TableError(f"{path.name} line {error.lineno} is no JSON: {error.msg}", hint=_JSON_ROW) from None
    if not isinstance(held, list) or not all(isinstance(row, dict) for row in held):
        raise TableError(f"{path.name} is not a list of rows", hint=_JSON_ROW)
    return [
        (number, {str(name): "" if cell is None else str(cell) for name, cell in row.items()})
        for number, row in enumerate(held, start=1)
    ]


def _long_form(source: str, rows: Sequence[tuple[int, Row]]) -> tuple[list[tuple[int, Row]], tuple[str, ...]]:
    """Turns Triton's wide table, one column an operator, into one row a time."""
    length_name, *labels = rows[0][1]
    if not labels or not rows[0][1][length_name][:1].isdigit() or rows[0][1].keys() & TIME_UNITS_S:
        raise _lacks_columns(source, rows[0][1])
    found = {label: _TRITON_LABEL.fullmatch(label) for label in labels}
    columns = {label: (match["name"], match["unit"] or "") for label, match in found.items() if match}
    units = {unit for _, unit in columns.values()}
    if "" in units and len(units) > 1:
        others = ", ".join([length_name, *(label for label, (_, unit) in columns.items() if not unit)])
        raise TableError(
            f"{source} has more than one column that is no time: {others}",
            hint="keep the length, and leave the others out; a time's unit stands after its name: flash (ms)",
        )
    if len(units) != 1 or not units <= _TRITON_UNITS.keys():
        raise TableError(
            f"{source} holds {' and '.join(sorted(units)) or 'nothing'}, not times",
            hint="plot times (ms), or give the columns operator, length and latency_ms",
        )
    (unit,) = units
    long = [
        (line, {"operator": name, "length": row.get(length_name, ""), _TRITON_UNITS[unit]: row.get(label, "")})
        for line, row in rows
        for label, (name, _) in columns.items()
    ]
    if unit:
        return long, ()
    return long, (f"{source} names no unit: its times were taken for milliseconds",)


def _unit(source: str, row: Row) -> str:
    units = [name for name in TIME_UNITS_S if name in row]
    if len(units) != 1:
        raise TableError(f"{source} has more than one column of times: {', '.join(units)}", hint="keep one of them")
    return units[0]


def _lacks_columns(source: str, row: Row) -> TableError:
    """Names the columns that are needed and not there."""
    missing = [f"column {name}" for name in ("operator", "length") if name not in row]
    if not row.keys() & TIME_UNITS_S:
        missing.append("column of times")
    return TableError(
        f"{source} has no {', no '.join(missing)}",
        hint=f"its columns are {', '.join(row)}; needed are operator, length and one of {', '.join(TIME_UNITS_S)}",
    )


def _check_columns(source: str, row: Row) -> None:
    if not {"operator", "length"} <= row.keys() or not row.keys() & TIME_UNITS_S:
        raise _lacks_columns(source, row)
    known = {*TIME_UNITS_S, *SETTING_COLUMNS, *OTHER_COLUMNS}
    unknown = next((name for name in row if name not in known), None)
    if unknown is not None:
        raise TableError(f"{source} has an unknown column {unknown!r}", hint=f"columns: {', '.join(sorted(known))}")


def _records(source: str, rows: Iterable[tuple[int, Row]], unit: str) -> tuple[Record, ...]:
    visits: dict[Point, list[Visit]] = {}
    failures: dict[Point, Outcome] = {}
    memory: dict[Point, int] = {}
    sides: dict[str, int] = {}
    counted = "row" if source.lower().endswith(".json") else "line"
    for line, row in rows:
        try:
            point = _point(row)
            side = sides.setdefault(point.label, len(sides))
            held = visits.setdefault(point, [])
            time = _cell(row, unit)
            outcome = _OUTCOMES.get(time.lower())
            if outcome is not None:
                failures[point] = outcome
            elif time.lower() not in _NOTHING:
                held.append(_visit(point, row, unit, unpaired=side * 1_000_000 + len(held)))
            if row.get("peak_memory_bytes", "").lower() not in {*_NOTHING, "nan"}:
                memory[point] = _bytes(row["peak_memory_bytes"])
        except HyenaprofError as error:
            raise TableError(f"{source} {counted} {line}: {error.message}", error.hint) from None
    told = {point for point, held in visits.items() if held or point in failures}
    curves = {point.curve for point in told}  # one without any time must not vanish: its points stay, without visits
    points = [point for point in visits if point in told or point.curve not in curves]
    return tuple(_record(point, visits[point], failures.get(point), memory.get(point)) for point in points)


def _cell(row: Row, name: str) -> str:
    """A cell that every row must have; a row of JSON may lack it."""
    if name not in row:
        raise ScenarioError(f"no {name}", hint="every row has operator, length and a time; null where there is none")
    return row[name]


def _point(row: Row) -> Point:
    operator, _, implementation = _cell(row, "operator").partition(":")
    if not operator:
        raise ScenarioError("the operator is empty", hint="write a name, or name:implementation")
    heads = _whole(row, "heads") or 1
    width = _whole(row, "width") or heads
    if width % heads:
        raise ScenarioError(f"{heads} heads do not divide width {width}", hint="width is the sum over all heads")
    return Point(
        operator=operator,
        implementation=implementation or IMPLEMENTATION,
        scope=_word(row, "scope", Scope) or Scope.LAYER,
        phase=_word(row, "phase", Phase) or Phase.FORWARD,
        shape=Shape(batch=_whole(row, "batch") or 1, length=_length(_cell(row, "length")), width=width, heads=heads),
        dtype=_word(row, "dtype", DType) or DType.FLOAT32,
        device=row.get("device") or "table",
    )


def _whole(row: Row, name: str, *, least: int = 1) -> int | None:
    """A whole number, also as pandas writes it: 8.0; None where the cell is empty."""
    text = row.get(name, "")
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,18})(?:\.0*)?", text)
    if match is None or int(match[1]) < least:
        raise ScenarioError(
            f"{name} {text!r} is not a whole number of at least {least}", hint="or leave the cell empty"
        )
    return int(match[1])


def _word(row: Row, name: str, words: type[Word]) -> Word | None:
    text = row.get(name, "")
    if text and text not in list(words):
        raise ScenarioError(f"{name} {text!r} is not known", hint=did_you_mean(text, (str(word) for word in words)))
    return words(text) if text else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _bytes(text: str) -> int:
    number = _number(text)
    if not 0 <= number < math.inf:
        raise ScenarioError(f"peak_memory_bytes {text!r} is not a number of bytes", hint="or leave the cell empty")
    return int(number)


def _length(text: str) -> int:
    """Reads a length also as Triton writes it: 1024.000000."""
    whole = re.fullmatch(r"(\d+)\.0*", text)
    length = parse_length(whole[1] if whole else text)
    if length > MAX_LENGTH:
        raise ScenarioError(f"length {length} is past {MAX_LENGTH}")
    return length


def _visit(point: Point, row: Row, unit: str, *, unpaired: int) -> Visit:
    latency_s = _number(row[unit]) * TIME_UNITS_S[unit]
    if not 0 < latency_s < math.inf:
        said = f"a time of {row[unit]} is not positive" if latency_s <= 0 else f"{row[unit]!r} is not a time"
        raise ScenarioError(said, hint="a positive number, or oom, timeout or crashed; empty where there is none")
    number = _whole(row, "round", least=0)
    number = unpaired if number is None else number
    return Visit(
        point=point,
        round=number,
        order=0,
        outcome=Outcome.OK,
        latency_s=(latency_s,),
        started_at=float(number),
        fingerprint_id=FINGERPRINT_ID,
    )


def _record(point: Point, visits: Sequence[Visit], failure: Outcome | None, peak_bytes: int | None) -> Record:
    line = None
    if peak_bytes is not None:
        line = MemoryLine(point=point, peak_bytes=peak_bytes, method="table", fingerprint_id=FINGERPRINT_ID)
    outcome = failure or Outcome.OK
    return Record(
        fingerprint_id=FINGERPRINT_ID,
        point=point,
        outcome=outcome,
        reason=f"the table says {outcome}" if failure else None,
        visits=tuple(visits),
        memory=line,
    )
