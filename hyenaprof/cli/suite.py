"""What the gate and the baseline share: the suite, a session of it, and how either is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from hyenaprof.cli import options as o
from hyenaprof.errors import NothingMeasuredError, ScenarioError

if TYPE_CHECKING:
    from hyenaprof.model import Fingerprint
    from hyenaprof.records.scenario import Scenario
    from hyenaprof.records.store import Run

    Accept = Callable[[Fingerprint], object]

INTERRUPTED = 130
SUITE = "gate"
"""The shipped scenario that is measured unless another is named."""


def suite_of(source: str | None, flags: Mapping[str, str | int | bool | Sequence[str] | None]) -> Scenario:
    """The suite, on one thread unless it says otherwise.

    Raises:
        ScenarioError: The first thing wrong.
        NothingMeasuredError: Its page names no operator, and no flag does.
    """
    from hyenaprof.records.scenario import read_yaml

    path = o.find_scenario(source or SUITE)
    if flags.get("ops") is None and not read_yaml(path)[0].get("operators"):
        raise NothingMeasuredError(f"{path.name} names no operator: the suite is empty", hint="give --ops, or another")
    page = o.scenario_of(source or SUITE, flags)
    if page.rounds is not None:
        raise ScenarioError(
            f"rounds: {page.rounds} and a gate do not go together", hint="it makes 6 to 24: take it out"
        )
    if page.protocol.threads is not None:
        return page
    return page.model_copy(update={"protocol": page.protocol.model_copy(update={"threads": 1})})


@contextmanager
def interruptible() -> Iterator[None]:
    """Takes a request to end, or a closed terminal, as Ctrl-C, so that nothing is left behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, _interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- the signature of a handler
    raise KeyboardInterrupt


def measured_session(page: Scenario, *, out: Path | None, timeout_s: float | None, accept: Accept | None = None) -> Run:
    """Measures a session in this environment.

    Args:
        page: The suite.
        out: The folder that the user named.
        timeout_s: Seconds after which an operator that gives no answer is killed; None for a limit by prediction.
        accept: Raises where the session's fingerprint will not do, before anything is measured.

    Raises:
        HyenaprofError: It could not begin.
        SystemExit: Interrupted, with 130.
    """
    from rich.console import Console

    from hyenaprof.records.store import load_run
    from hyenaprof.running.environments import alike
    from hyenaprof.running.progress import PlainDisplay
    from hyenaprof.running.stored import measure_session

    with interruptible(), alike() as here:
        display = PlainDisplay(Console())
        ended = measure_session(page, here.candidate, display, out=out, timeout_s=timeout_s, accept=accept)
    if ended.interrupted:
        typer.echo(f"interrupted; what was measured stands in {ended.folder}", err=True)
        raise typer.Exit(INTERRUPTED)
    return load_run(ended.folder)
