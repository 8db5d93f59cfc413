"""The command that checks implementations against their definitions and times nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from hyenaprof.cli import options as o
from hyenaprof.errors import NothingMeasuredError, ScenarioError
from hyenaprof.model import CheckEntry, Outcome, Point
from hyenaprof.operators import operator_table
from hyenaprof.units import UNKNOWN, format_percent

if TYPE_CHECKING:
    from hyenaprof.records.scenario import Scenario
    from hyenaprof.running.verification import Verified

RED = 1
ALL = "all"
KINDS = ("output", "gradient", "causality")
_STYLES = {Outcome.OK: "green", Outcome.UNSUPPORTED: "dim"}
Line = tuple[str, str]
"""Text and its style."""


def verify(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    ops: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Operators, as NAME (all its implementations) or NAME:IMPLEMENTATION; package.module:Class is one of "
            "your own; all is every operator that `hyenaprof list` shows.",
        ),
    ] = None,
    set_: o.Set = None,
    length: Annotated[str, typer.Option(metavar="L,L", help="Lengths in tokens.")] = "1,63,128,1000",
    batch: Annotated[str, typer.Option(metavar="B,B", help="Batch sizes.")] = "1,3",
    width: Annotated[str, typer.Option(metavar="D,D", help="Model widths.")] = "32",
    dtype: o.Dtype = None,
    scope: o.ScopeOption = None,
    device: o.Device = None,
    seed: o.Seed = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Kill what gives no answer for so long [5m].")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Every error and its tolerance, not the worst alone.")
    ] = False,
    json: o.AsJson = False,
) -> None:
    """Check implementations against their definitions in float64: values, every gradient, causality. Nothing is timed.

    What an operator is stands in its `reference`, in float64 and by no fast algorithm. Each implementation runs on the
    same tensors; its error is its largest deviation over the largest value, and is shown as a share of what is
    tolerated: up to 100 % is green. The dtype says how much that is, and other implementations than the plain one, the
    first, may be off by twice what that one is, so that 50 % there is as good as the plain one. Gradients are those of
    every input and weight by name, the worst is shown. Causality: what comes before a position must not change when the
    inputs from there on do. The definition takes time as L^2, so keep lengths short; odd ones and 1 find what wraps
    round or is assumed whole.

    Examples:
      hyenaprof verify --ops all

      hyenaprof verify --ops hyena:chunked,flash --length 127,2000 --dtype float64 -v

      hyenaprof verify --ops mine.layers:Mixer --json

    Exit status: 0 all that runs here is green; 1 something is red or broke down; 2 bad request; 3 nothing runs here or
    no such device; 130 interrupted.
    """
    from hyenaprof.running.verification import verification

    if ops is None:
        raise ScenarioError("nothing to verify", hint="give --ops all, or --ops hyena,flash:sdpa")
    page = o.scenario_of(
        None,
        {
            "ops": _expanded(ops, scope or "layer"),
            "set": set_,
            "lengths": length,
            "batch": batch,
            "width": width,
            "dtype": dtype,
            "scope": scope,
            "phases": "forward",
            "device": device,
            "seed": seed,
        },
    )
    results = _shown(page, verification(page, timeout_s=o.seconds(timeout)), verbose=verbose, quiet=json)
    if json:
        from hyenaprof.report.machine import as_json

        typer.echo(as_json({"version": 1, "checks": [_form(result) for result in results]}))
    raise typer.Exit(_status_of(results))


def _expanded(ops: str, scope: str) -> str:
    """`all` becomes every operator of the table that has the scope."""
    every = ",".join(name for name, entry in operator_table().items() if scope in entry.scopes)
    return ",".join(every if part.strip() == ALL else part for part in ops.split(","))


def _shown(page: Scenario, results: Iterable[Verified], *, verbose: bool, quiet: bool) -> list[Verified]:
    """Prints the table as it comes; why an implementation cannot run here is said once."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=quiet)
    several = len(page.width) > 1 or len(page.dtype) > 1
    width = max(24, *(len(name) + 12 for name in page.operators)) + 16 * several
    seen: list[Verified] = []
    told: set[tuple[str, str | None]] = set()
    for result in results:
        lines = _row(result, width, several=several, verbose=verbose)
        if not seen:
            lines = chain(_head(result.point, width, several=several), lines)
        why = (result.point.label, result.reason)
        if result.outcome is not Outcome.UNSUPPORTED or why not in told:
            for text, style in lines:
                console.print(Text(text, style), soft_wrap=True)
        told.add(why)
        seen.append(result)
    for text, style in _summary(seen):
        console.print(Text(text, style), soft_wrap=True)
    return seen


def _head(point: Point, width: int, *, several: bool) -> Iterator[Line]:
    shape = "" if several else f", {point.dtype}, D={point.shape.width} H={point.shape.heads}"
    yield f"errors as shares of what is tolerated: {point.scope} scope{shape}, on {point.device}", ""
    heads = f"{'L':>6} {'B':>3}  {'output':>8}  {'causality':>10}  {'parameters':>10}  worst gradient"
    yield f"{'implementation':{width}}{heads}", "bold"


def _row(result: Verified, width: int, *, several: bool, verbose: bool) -> Iterator[Line]:
    point, style = result.point, _STYLES.get(result.outcome, "red")
    label = point.label + (f" {point.dtype} D={point.shape.width}" if several else "")
    shape = f"{label:{width}}{point.shape.length:>6} {point.shape.batch:>3}"
    if result.check is None:
        yield f"{shape}  {result.outcome}: {result.reason}", style
        return
    output, gradient, causality = (result.worst(kind) for kind in KINDS)
    parameters = UNKNOWN if result.parameters is None else str(result.parameters)
    of = f" {gradient.quantity.removeprefix('gradient of ')}" if gradient else ""
    shares = f"{_share(output):>8}  {_share(causality):>10}  {parameters:>10}  {_share(gradient)}{of}"
    yield f"{shape}  {shares}", style
    if verbose:
        for entry in result.check.entries:
            yield f"    {entry.quantity}: {_error(entry)}, tolerance {entry.tolerance:.1e}", ""
    if result.red:
        yield f"    {result.outcome}: {result.reason}", style


def _share(entry: CheckEntry | None) -> str:
    if entry is None:
        return UNKNOWN
    return format_percent(entry.share) if math.isfinite(entry.share) else "infinite"


def _error(entry: CheckEntry) -> str:
    return "not finite" if entry.error is None else f"error {entry.error:.1e}"


def _summary(results: Sequence[Verified]) -> Iterator[Line]:
    for operator in dict.fromkeys(result.point.operator for result in results):
        known = {r.point.shape.length: r.parameters for r in results if r.point.operator == operator and r.parameters}
        if known and len(set(known.values())) > 1:
            first, last = min(known), max(known)
            yield f"parameters of {operator} with L: {known[first]} at {first}, {known[last]} at {last}", ""
    red, green = sum(r.red for r in results), sum(r.outcome is Outcome.OK for r in results)
    absent = {r.point.label for r in results if r.outcome is Outcome.UNSUPPORTED}
    yield f"{green} green, {red} red; not supported here: {len(absent)} implementations", "red" if red else "green"


def _form(result: Verified) -> dict[str, object]:
    """One check for machines: errors over the largest value; what is not known is null."""
    check = result.check
    return {
        **result.point.model_dump(mode="json"),
        "outcome": str(result.outcome),
        "reason": result.reason,
        "parameters": result.parameters,
        "method": check.method if check else None,
        "entries": [entry.model_dump(mode="json") for entry in check.entries] if check else [],
    }


def _status_of(results: Sequence[Verified]) -> int:
    if not any(result.red or result.outcome is Outcome.OK for result in results):
        reasons = dict.fromkeys(f"{result.point.label}: {result.reason}" for result in results)
        raise NothingMeasuredError("nothing could be verified", hint=next(iter(reasons), None))
    return RED if any(result.red for result in results) else 0
