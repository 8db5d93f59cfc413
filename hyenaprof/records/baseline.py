"""A baseline: sessions of measurement on one machine, kept for later comparison.

One JSON file in a fixed order, a point a line, numbers of six digits: a session added is lines added in a diff.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from hyenaprof.errors import BaselineError
from hyenaprof.model import OnDisk, Point
from hyenaprof.records.fingerprints import refuse_other
from hyenaprof.records.sessions import Session, ordered, point_name

SCHEMA_VERSION = 1


class Baseline(OnDisk):
    """Sessions on one machine under one protocol, oldest first."""

    kind: Literal["hyenaprof baseline"] = "hyenaprof baseline"
    schema_version: int = SCHEMA_VERSION
    points: dict[str, Point]
    sessions: tuple[Session, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name, point in self.points.items():
            if point_name(point) != name:
                raise ValueError(f"point {name!r} is {point_name(point)!r}")
        for session in self.sessions:
            unknown = next((name for name in session.points if name not in self.points), None)
            if unknown is not None:
                raise ValueError(f"session {session.name}: {unknown!r} is none of the points")
        return self


def new_baseline(session: Session, points: Mapping[str, Point]) -> Baseline:
    """A baseline of one session."""
    return Baseline(points=dict(points), sessions=(session,))


def add_session(
    baseline: Baseline, session: Session, points: Mapping[str, Point], *, other_machine: bool = False
) -> Baseline:
    """The baseline with a session more, in order of time; points may come and go between sessions.

    Raises:
        BaselineError: The session stands in it already.
        FingerprintError: It was measured on another machine or under another protocol.
    """
    if any(session.started_at == held.started_at for held in baseline.sessions):
        raise BaselineError(f"the session of {session.name} stands in the baseline already")
    refuse_other(baseline.sessions[-1].fingerprint, session.fingerprint, other_machine=other_machine)
    sessions = tuple(sorted((*baseline.sessions, session), key=lambda held: held.started_at))
    return Baseline(points=ordered({**baseline.points, **points}), sessions=sessions)


def prune(baseline: Baseline, *, keep: int) -> Baseline:
    """The baseline with its last sessions alone, and the points that they hold.

    Raises:
        BaselineError: None would be left.
    """
    if keep < 1:
        raise BaselineError(f"{keep} sessions would be left", hint="keep at least 1")
    sessions = baseline.sessions[-keep:]
    held = {name for session in sessions for name in session.points}
    return Baseline(points={name: point for name, point in baseline.points.items() if name in held}, sessions=sessions)


def read_baseline(path: Path) -> Baseline:
    """Reads a baseline's file.

    Raises:
        BaselineError: Not there, not JSON, of a newer hyenaprof, or something in it that does not belong.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"cannot read baseline {path.name}: {type(error).__name__}",
            hint="check the path, or begin one: hyenaprof baseline new",
        ) from None
    except (json.JSONDecodeError, RecursionError) as error:
        place = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BaselineError(f"baseline {path.name} is no JSON{place}", hint=_RESTORE) from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BaselineError(
            f"baseline {path.name} has schema version {version}, this hyenaprof reads up to {SCHEMA_VERSION}",
            hint="it was written by a newer hyenaprof: upgrade this one",
        )
    try:
        return Baseline.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BaselineError(
            f"baseline {path.name}: {place + ': ' if place else ''}{first['msg']}", hint=_RESTORE
        ) from None


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Writes a baseline's file whole, or leaves what stood there.

    Raises:
        BaselineError: Nothing can be written there.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(baseline_text(baseline), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BaselineError(f"cannot write {path.name}: {error.strerror}", hint="name another file") from None


_RESTORE = "restore the file, or begin anew: hyenaprof baseline new"
_SPREAD_OUT = {"baseline", "points", "sessions", "session", "fingerprint", "calibration"}


def baseline_text(baseline: Baseline) -> str:
    """The file's text: a line a point, a part of a fingerprint, a calibration, and in each session a point."""
    raw = baseline.model_dump(mode="json", exclude={"sessions"})
    raw["sessions"] = [
        session.model_dump(mode="json")
        | {
            "points": {
                name: held.model_dump(mode="json", exclude_defaults=True) for name, held in session.points.items()
            }
        }
        for session in baseline.sessions
    ]
    return _text(raw, "baseline", "") + "\n"


def _text(value: Any, name: str, margin: str) -> str:  # noqa: ANN401 -- any JSON value
    if name not in _SPREAD_OUT or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = margin + " "
    if isinstance(value, list):
        items = [_text(item, "session", inner) for item in value]
    else:
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_text(item, key, inner)}" for key, item in value.items()]
    first, last = ("[", "]") if isinstance(value, list) else ("{", "}")
    return first + ",".join(f"\n{inner}{item}" for item in items) + f"\n{margin}{last}"
