"""Operators outside the table, named by `package.module:Class`: their line of the table is asked of a worker process.

The class's module imports torch, which the parent never does.
"""

from __future__ import annotations

import functools
import subprocess
import sys

from pydantic import ValidationError

from hyenaprof.environment import importable
from hyenaprof.errors import ScenarioError, did_you_mean
from hyenaprof.operators import OperatorEntry, entry_of, operator_table
from hyenaprof.pipe import MESSAGES, Hello, HelloAnswer, Reply, Request

LIMIT_S = 120.0
_HINT = (
    "name package.module:Class, a subclass of hyenaprof.operators.base.Operator with an `entry`, importable from here"
)


def is_outside(name: str) -> bool:
    """Whether a name is an import path: its part before the first colon holds a dot."""
    return "." in name.partition(":")[0]


def entry_named(name: str) -> OperatorEntry:
    """The line of an operator in the table, or of a class outside it.

    Raises:
        ScenarioError: No such operator; or no such class, it cannot be imported, or it has no line.
    """
    if not is_outside(name):
        return entry_of(name)
    if not name.partition(":")[2]:
        raise ScenarioError(f"no operator {name!r}", hint=did_you_mean(name, operator_table()))
    return _entry_at(name)


@functools.cache
def _entry_at(name: str) -> OperatorEntry:
    """Asked once a process: importing torch takes seconds."""
    request = Request(id=1, body=Hello(device="cpu", operators=(name,)))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hyenaprof.worker"],
            input=request.model_dump_json() + "\n",
            env=importable(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ScenarioError(f"operator {name!r}: no answer within {LIMIT_S:.0f} s of its import", hint=_HINT) from None
    reply = _reply(done.stdout)
    if reply is None:
        raise ScenarioError(f"operator {name!r}: its import ended the process ({done.returncode})", hint=_HINT)
    if not isinstance(reply.answer, HelloAnswer) or name not in reply.answer.entries:
        raise ScenarioError(_why_not(name, reply), hint=_HINT)
    return reply.answer.entries[name]


def _reply(said: str) -> Reply | None:
    try:
        message = MESSAGES.validate_json((said.splitlines() or [""])[-1])
    except ValidationError:
        return None
    return message if isinstance(message, Reply) else None


def _why_not(name: str, reply: Reply) -> str:
    reason = reply.refusal.reason if reply.refusal else "its line was not given"
    return f"operator {name!r} cannot be had: {reason}"
