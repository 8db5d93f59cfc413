"""Tables of times from anywhere, read as records: CSV or JSON with a row a time, or the CSV of Triton's `perf_report`."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyenaprof.errors import HyenaprofError, ScenarioError, TableError
from hyenaprof.model import DType, MemoryLine, Outcome, Phase, Point, Record, Scope, Shape, Visit
from hyenaprof.units import MAX_LENGTH, parse_length

TIME_UNITS_S = {"latency_s": 1.0, "latency_ms": 1e-3, "latency_us": 1e-6}
SETTING_COLUMNS = ("phase", "scope", "batch", "width", "heads", "dtype", "device")
OTHER_COLUMNS = ("operator", "length", "round", "peak_memory_bytes")
IMPLEMENTATION = "table"
"""Stands for the implementation where the table names none after a colon."""
FINGERPRINT_ID = "table"
_NOTHING = {"", "-", "\N{EN DASH}", "nan", "none", "null", "n/a"}
_OUTCOMES = {"oom": Outcome.OOM, "out of memory": Outcome.OOM, "timeout": Outcome.TIMEOUT, "crashed": Outcome.CRASHED}
_TRITON_LABEL = re.compile(r"(?P<name>.+?)(?: \((?P<unit>[^()]*)\))?")
_TRITON_UNITS = {"": "latency_ms", "ms": "latency_ms", "s": "latency_s", "us": "latency_us"}

Row = dict[str, str]


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
    `round` says which belong together. A time of
    `oom`, `timeout` or `crashed` is that outcome, an empty one is passed over. JSON is a list of such rows. A CSV
    without a column `operator` is read as Triton's `perf_report` writes it: lengths first, then one column an operator.

    Raises:
        TableError: No such file, or a row that cannot be read, named by its line.
    """
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    if not rows:
        raise TableError(f"{path.name} holds no rows", hint="a header line and one row a time")
    first = rows[0][1]
    warnings: tuple[str, ...] = ()
    if "operator" not in first:
        rows, warnings = _long_form(path.name, rows)
    unit = _unit(path.name, rows[0][1])
    _check_columns(path.name, rows[0][1], unit)
    seen: dict[tuple[str, ...], tuple[int, Row]] = {}
    for line, row in rows:
        seen.setdefault(tuple(row.values()), (line, row))
    once = list(seen.values())
    if repeated := len(rows) - len(once):
        said = "1 row stands twice and was" if repeated == 1 else f"{repeated} rows stand twice and were"
        warnings = (*warnings, f"{said} counted once")
    return TableFile(
        source=path.name,
        records=_records(path.name, once, unit),
        stated=frozenset(name for name in SETTING_COLUMNS if name in rows[0][1]),
        warnings=warnings,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TableError(f"no table {path.name}", hint="give the path of a .csv or .json file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path.name} cannot be read: {type(error).__name__}", hint="a table is UTF-8 text") from None


def _csv_rows(path: Path) -> list[tuple[int, Row]]:
    lines = csv.DictReader(_text(path).splitlines(), restkey="", restval="")
    rows: list[tuple[int, Row]] = []
    for row in lines:
        if row.get(""):
            raise TableError(f"{path.name} line {lines.line_num} has more cells than the header", hint="quote commas")
        rows.append((lines.line_num, {name.strip(): str(cell).strip() for name, cell in row.items() if name}))
    return rows


def _json_rows(path: Path) -> list[tuple[int, Row]]:
    try:
        held = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise TableError(f"{path.name} line {error.lineno} is no JSON: {error.msg}") from None
    if not isinstance(held, list) or not all(isinstance(row, dict) for row in held):
        raise TableError(
            f"{path.name} is not a list of rows", hint='[{"operator": ..., "length": ..., "latency_ms": ...}]'
        )
    return [
        (number, {str(name): "" if cell is None else str(cell) for name, cell in row.items()})
        for number, row in enumerate(held, start=1)
    ]


def _long_form(source: str, rows: Sequence[tuple[int, Row]]) -> tuple[list[tuple[int, Row]], tuple[str, ...]]:
    """Turns Triton's wide table, one column an operator, into one row a time."""
    length_name, *labels = rows[0][1]
    if not labels:
        raise TableError(f"{source} has no column operator", hint="operator, length and latency_ms are needed")
    found = {label: _TRITON_LABEL.fullmatch(label) for label in labels}
    columns = {label: (match["name"], match["unit"] or "") for label, match in found.items() if match}
    units = {unit for _, unit in columns.values()}
    if len(units) != 1 or not units <= _TRITON_UNITS.keys():
        raise TableError(
            f"{source} holds {' and '.join(sorted(units)) or 'nothing'}, not times",
            hint="plot times (ms), or give the columns operator, length and latency_ms",
        )
    (unit,) = units
    long = [
        (line, {"operator": name, "length": row[length_name], _TRITON_UNITS[unit]: row.get(label, "")})
        for line, row in rows
        for label, (name, _) in columns.items()
    ]
    if unit:
        return long, ()
    return long, (f"{source} names no unit: its times were taken for milliseconds",)


def _unit(source: str, row: Row) -> str:
    units = [name for name in TIME_UNITS_S if name in row]
    if len(units) != 1:
        raise TableError(
            f"{source} has {'no column' if not units else 'more than one column'} of times",
            hint=f"exactly one of {', '.join(TIME_UNITS_S)}",
        )
    return units[0]


def _check_columns(source: str, row: Row, unit: str) -> None:
    known = {unit, *SETTING_COLUMNS, *OTHER_COLUMNS}
    missing = [name for name in ("operator", "length") if name not in row]
    unknown = [name for name in row if name not in known]
    if missing or unknown:
        what = f"has no column {missing[0]}" if missing else f"has an unknown column {unknown[0]!r}"
        raise TableError(f"{source} {what}", hint=f"columns: {', '.join(sorted(known))}")


def _records(source: str, rows: Iterable[tuple[int, Row]], unit: str) -> tuple[Record, ...]:
    visits: dict[Point, list[Visit]] = defaultdict(list)
    failures: dict[Point, Outcome] = {}
    memory: dict[Point, int] = {}
    sides: dict[str, int] = {}
    for line, row in rows:
        try:
            point = _point(row)
            side = sides.setdefault(point.label, len(sides))
            outcome = _OUTCOMES.get(row[unit].lower())
            if outcome is not None:
                failures[point] = outcome
            elif row[unit].lower() not in _NOTHING:
                visits[point].append(_visit(point, row, unit, unpaired=side * 1_000_000 + len(visits[point])))
            if row.get("peak_memory_bytes", "").lower() not in _NOTHING:
                memory[point] = int(float(row["peak_memory_bytes"]))
        except (ValueError, KeyError, HyenaprofError) as error:
            raise TableError(f"{source} line {line}: {_reason(error)}") from None
    points = dict.fromkeys([*visits, *failures])
    return tuple(_record(point, visits.get(point, []), failures.get(point), memory.get(point)) for point in points)


def _reason(error: Exception) -> str:
    if isinstance(error, HyenaprofError):
        return error.message
    return str(error).splitlines()[0]


def _point(row: Row) -> Point:
    operator, _, implementation = row["operator"].partition(":")
    if not operator:
        raise ScenarioError("the operator is empty")
    heads = int(row.get("heads") or 1)
    return Point(
        operator=operator,
        implementation=implementation or IMPLEMENTATION,
        scope=Scope(row.get("scope") or Scope.LAYER),
        phase=Phase(row.get("phase") or Phase.FORWARD),
        shape=Shape(
            batch=int(row.get("batch") or 1),
            length=_length(row["length"]),
            width=int(row.get("width") or heads),
            heads=heads,
        ),
        dtype=DType(row.get("dtype") or DType.FLOAT32),
        device=row.get("device") or "table",
    )


def _length(text: str) -> int:
    """Reads a length also as Triton writes it: 1024.000000."""
    whole = re.fullmatch(r"(\d+)\.0*", text)
    length = parse_length(whole[1] if whole else text)
    if length > MAX_LENGTH:
        raise ScenarioError(f"length {length} is past {MAX_LENGTH}")
    return length


def _visit(point: Point, row: Row, unit: str, *, unpaired: int) -> Visit:
    latency_s = float(row[unit]) * TIME_UNITS_S[unit]
    if not 0 < latency_s < math.inf:
        raise ScenarioError(f"a time of {row[unit]} is not positive")
    number = int(row["round"]) if row.get("round") else unpaired
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
