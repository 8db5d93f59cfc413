"""Commands that measure."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from hyenaprof.cli import options as o
from hyenaprof.errors import ScenarioError

if TYPE_CHECKING:
    from hyenaprof.records.store import Run
    from hyenaprof.running.runner import SweepRequest

INTERRUPTED = 130


def sweep(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    scenario: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="A scenario's file, or the name of a shipped one.")
    ] = None,
    ops: o.Ops = None,
    set_: o.Set = None,
    min_len: o.MinLen = None,
    max_len: o.MaxLen = None,
    lengths: o.Lengths = None,
    batch: o.Batch = None,
    width: o.Width = None,
    heads: o.Heads = None,
    dtype: o.Dtype = None,
    device: o.Device = None,
    scope: o.ScopeOption = None,
    phases: o.Phases = None,
    seed: o.Seed = None,
    budget: o.Budget = None,
    precision: o.Precision = None,
    rounds: o.Rounds = None,
    cache: o.Cache = None,
    allocator: o.Allocator = None,
    threads: o.Threads = None,
    cuda_graph: o.CudaGraph = None,
    refine: Annotated[
        bool, typer.Option("--refine/--no-refine", help="Add lengths around each crossover while time remains.")
    ] = True,
    timeout: o.Timeout = None,
    force: o.Force = False,
    python: o.Python = None,
    out: o.Out = None,
    fresh: o.Fresh = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be measured, and how long.")] = False,
) -> None:
    """Measure operators over sequence lengths and report where one overtakes the other.

    Times forward, backward and training of every operator at each length, in paired rounds of fresh processes, checks
    each against its float64 definition first, and writes the report beside the raw samples. The same command again
    goes on with an unfinished run. Lengths are tokens; k = 1024.

    Examples:
      hyenaprof sweep --ops hyena,flash --max-len 131072

      hyenaprof sweep --ops hyena:fft,flash:sdpa,attention:math --width 256 --phases training --budget 3m

      hyenaprof sweep modern --device cuda:1

    Exit status: 0 something was measured; 1 a point is incorrect or implausible; 2 bad request; 3 nothing could be
    measured, no such device, or another machine's run; 130 interrupted.
    """
    flags = {
        "ops": ops,
        "set": set_,
        "min_len": min_len,
        "max_len": max_len,
        "lengths": lengths,
        "batch": batch,
        "width": width,
        "heads": heads,
        "dtype": dtype,
        "device": device,
        "scope": scope,
        "phases": phases,
        "seed": seed,
        "budget": budget,
        "precision": precision,
        "rounds": rounds,
        "cache": cache,
        "allocator": allocator,
        "threads": threads,
        "cuda_graph": cuda_graph,
    }
    page = o.scenario_of(scenario, flags)
    from hyenaprof.running.runner import SweepRequest

    request = SweepRequest(
        page,
        out=out,
        fresh=fresh,
        refine=refine,
        pythons=o.interpreters(python),
        timeout_s=o.seconds(timeout),
        force=force,
    )
    if dry_run:
        _show_plan(request)
        return
    run, interrupted = measured(request)
    show(run)
    raise typer.Exit(INTERRUPTED if interrupted else status_of(run))


def crossover(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENARIO|TABLE|RUN",
            help="A scenario to measure; or a .csv or .json table of times, or a run's folder, to analyse.",
        ),
    ] = None,
    ops: o.Ops = None,
    set_: o.Set = None,
    min_len: o.MinLen = None,
    max_len: o.MaxLen = None,
    batch: o.Batch = None,
    width: o.Width = None,
    heads: o.Heads = None,
    dtype: o.Dtype = None,
    device: o.Device = None,
    scope: o.ScopeOption = None,
    phases: o.Phases = None,
    seed: o.Seed = None,
    budget: o.CrossoverBudget = None,
    precision: Annotated[
        str | None, typer.Option(metavar="P", help="Half-width of the crossover's 95 % interval to stop at [5%].")
    ] = None,
    cache: o.Cache = None,
    allocator: o.Allocator = None,
    threads: o.Threads = None,
    timeout: o.Timeout = None,
    force: o.Force = False,
    python: o.Python = None,
    out: o.Out = None,
    fresh: o.Fresh = False,
    json: o.AsJson = False,
) -> None:
    """Go straight for the length at which one operator overtakes another, or find it in numbers from anywhere.

    Doubles the length from 64 until an octave past the first change of the lead, then bisects it in paired rounds of
    fresh processes until the interval is as narrow as asked for. Everything it measures goes to a run like a sweep's.

    Given a table or a run it measures nothing: it states each crossover, how the times grow, and what the fitted cost
    predicts past the longest length. A table has the columns operator, length and one of latency_s, latency_ms and
    latency_us; repeated rows are repetitions, and give an interval. What Triton's perf_report writes is read too.

    Examples:
      hyenaprof crossover --ops hyena,flash --phases training --precision 2%

      hyenaprof crossover --ops hyena:fft,flash:sdpa --width 256 --budget 10m

      hyenaprof crossover hyena-fig4.3.csv --json

    Exit status: as for sweep; of a table or a run 0 crossovers were looked for, 2 it cannot be read, 3 it holds no two
    operators that could be compared.
    """
    flags = {
        "ops": ops,
        "set": set_,
        "min_len": min_len,
        "max_len": max_len,
        "batch": batch,
        "width": width,
        "heads": heads,
        "dtype": dtype,
        "device": device,
        "scope": scope,
        "phases": phases,
        "seed": seed,
        "budget": budget,
        "cache": cache,
        "allocator": allocator,
        "threads": threads,
    }
    from hyenaprof.records.source import holds_numbers, read_source, refuse_other_file, source_of

    if source is not None and holds_numbers(source):
        rest = {
            "precision": precision,
            "timeout": timeout,
            "force": force,
            "python": python,
            "out": out,
            "fresh": fresh,
        }
        o.refuse_measuring({**flags, **rest}, beside=source)
        from hyenaprof.cli.analyse import analyse

        raise typer.Exit(analyse(read_source(source), json=json))
    if source is not None:
        refuse_other_file(Path(source))
    if source is None:
        flags["min_len"] = min_len or "64"
        flags["budget"] = budget or "3m"
    page = o.scenario_of(source, flags, prefix="crossover-")
    if page.rounds is not None:
        raise ScenarioError(
            f"rounds: {page.rounds} and crossover do not go together",
            hint="take `rounds` out: it makes as many as it needs",
        )
    from hyenaprof.running.runner import SweepRequest
    from hyenaprof.units import parse_fraction

    wanted = parse_fraction(precision or "5%")
    request = SweepRequest(
        page,
        out=out,
        fresh=fresh,
        pythons=o.interpreters(python),
        crossover_precision=wanted,
        timeout_s=o.seconds(timeout),
        force=force,
    )
    run, interrupted = measured(request, quiet=json)
    show(run, quiet=json)
    if json:
        from hyenaprof.cli.analyse import analyse

        analyse(source_of(run), json=True)
    raise typer.Exit(INTERRUPTED if interrupted else status_of(run))


def _show_plan(request: SweepRequest) -> None:
    from rich.console import Console

    from hyenaprof.cli.tables import plan_table
    from hyenaprof.running.dryrun import plan_of

    Console().print(plan_table(plan_of(request), budget_s=request.scenario.budget))


def measured(request: SweepRequest, *, quiet: bool = False) -> tuple[Run, bool]:
    """Measures with a live display.

    Args:
        request: What is to be measured.
        quiet: Leave stdout to what follows: progress goes to stderr.

    Returns:
        The run, and whether it was interrupted; what was measured until then is there all the same.
    """
    from rich.console import Console

    from hyenaprof.records.store import load_run
    from hyenaprof.running.progress import display_for
    from hyenaprof.running.runner import Interrupted, sweep

    for number in (signal.SIGINT, signal.SIGTERM):  # a script's background job begins with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        return sweep(request, display_for(Console(stderr=quiet))), False
    except Interrupted as stopped:
        typer.echo("interrupted; the same command goes on from here", err=True)
        return load_run(stopped.folder), True


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- the signature of a handler
    raise KeyboardInterrupt


def show(run: Run, *, quiet: bool = False) -> None:
    """Renders the report, and prints the summary and where it lies; to stderr where stdout is left alone."""
    from rich.console import Console

    from hyenaprof.report.render import render
    from hyenaprof.report.terminal import summary

    console = Console(stderr=quiet)
    console.print(summary(run))
    for path in render(run):
        console.print(str(path), soft_wrap=True, highlight=False)


def status_of(run: Run) -> int:
    """The exit status of a sweep.

    Raises:
        NothingMeasuredError: No point is ok, and none is wrong either.
    """
    from hyenaprof.errors import NothingMeasuredError
    from hyenaprof.model import Outcome

    outcomes = {record.outcome for record in run.records}
    if outcomes & {Outcome.INCORRECT, Outcome.IMPLAUSIBLE}:
        return 1
    if Outcome.OK not in outcomes:
        reasons = {f"{record.outcome}: {record.reason}" for record in run.records if record.reason}
        raise NothingMeasuredError("nothing could be measured", hint=min(reasons, default=None))
    return 0
