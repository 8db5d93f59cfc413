"""Commands that keep sessions of measurement for later gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyenaprof.cli import options as o
from hyenaprof.cli.suite import measured_session, suite_of
from hyenaprof.errors import BaselineError

if TYPE_CHECKING:
    from hyenaprof.cli.suite import Accept
    from hyenaprof.model import Fingerprint
    from hyenaprof.records.store import Run

baseline = typer.Typer(
    name="baseline",
    help="Keep sessions of measurement in a file, for `hyenaprof gate --baseline FILE`.",
    epilog="Begin with: hyenaprof baseline new baseline.json, and add a session a day for a week",
    no_args_is_help=True,
    rich_markup_mode=None,
)
File = Annotated[Path, typer.Argument(metavar="FILE", help="The baseline.")]
Suite = Annotated[
    str | None, typer.Argument(metavar="SUITE", help="A scenario's file or the name of a shipped one [gate].")
]
FromRun = Annotated[
    Path | None, typer.Option("--run", metavar="RUN", help="Take the session from this run instead of measuring one.")
]


@baseline.command()
def new(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    file: File,
    suite: Suite = None,
    run: FromRun = None,
    ops: o.Ops = None,
    device: o.Device = None,
    lengths: o.Lengths = None,
    phases: o.Phases = None,
    budget: o.Budget = None,
    threads: o.Threads = None,
    timeout: o.Timeout = None,
    out: o.Out = None,
) -> None:
    """Begin a baseline with one session, measured now.

    A session is six rounds of fresh processes with calibrations among them. One alone lets a gate call nothing under
    10 %: machines differ by that from day to day. Three sessions already work, six are better.

    Examples:
      hyenaprof baseline new benchmarks/baseline.json

      hyenaprof baseline new baseline.json suite.yaml --ops mypkg.mod:Class

    Exit status: 0 written; 2 bad request, or the file is there; 3 nothing could be measured; 130 interrupted.
    """
    from hyenaprof.records.baseline import new_baseline, write_baseline
    from hyenaprof.records.sessions import points_of, session_of

    if file.exists():
        raise BaselineError(f"{file.name} is there already", hint="add a session to it: hyenaprof baseline add")
    flags = {
        "ops": ops,
        "device": device,
        "lengths": lengths,
        "phases": phases,
        "budget": budget,
        "threads": threads,
    }
    held = session_run(suite, flags, run=run, out=out, timeout=timeout)
    write_baseline(file, new_baseline(session_of(held), points_of(held)))
    typer.echo(f"{file}: 1 session; a gate can call under 10 % once there are two or more")


@baseline.command()
def add(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    file: File,
    suite: Suite = None,
    run: FromRun = None,
    ops: o.Ops = None,
    device: o.Device = None,
    lengths: o.Lengths = None,
    phases: o.Phases = None,
    budget: o.Budget = None,
    threads: o.Threads = None,
    timeout: o.Timeout = None,
    out: o.Out = None,
    other_machine: Annotated[
        bool, typer.Option("--other-machine", help="Take a session of another machine, too.")
    ] = False,
) -> None:
    """Add a session, measured now, to a baseline.

    Example: hyenaprof baseline add benchmarks/baseline.json

    Exit status: 0 written; 2 bad request, or an unreadable baseline; 3 other machine or protocol; 130 interrupted.
    """
    from hyenaprof.records.baseline import add_session, read_baseline, write_baseline
    from hyenaprof.records.fingerprints import refuse_other
    from hyenaprof.records.sessions import points_of, session_of

    standing = read_baseline(file)
    flags = {
        "ops": ops,
        "device": device,
        "lengths": lengths,
        "phases": phases,
        "budget": budget,
        "threads": threads,
    }
    last = standing.sessions[-1].fingerprint

    def accept(here: Fingerprint) -> None:
        refuse_other(last, here, other_machine=other_machine)

    held = session_run(suite, flags, run=run, out=out, timeout=timeout, accept=accept)
    grown = add_session(standing, session_of(held), points_of(held), other_machine=other_machine)
    write_baseline(file, grown)
    typer.echo(f"{file}: {len(grown.sessions)} sessions")


@baseline.command()
def show(
    file: File,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print one row a session, one column a point, for change-point tools.")
    ] = False,
) -> None:
    """Show a baseline's sessions and points.

    Example: hyenaprof baseline show benchmarks/baseline.json --csv > history.csv

    Exit status: 0 shown; 2 it cannot be read.
    """
    from hyenaprof.records.baseline import read_baseline

    held = read_baseline(file)
    if csv:
        from hyenaprof.report.verdict_files import history_csv

        typer.echo(history_csv(held), nl=False)
        return
    from rich.console import Console

    from hyenaprof.cli.gate_tables import baseline_table

    Console().print(baseline_table(held))


@baseline.command()
def prune(
    file: File,
    keep: Annotated[int, typer.Option(metavar="N", help="Sessions to keep, the last ones.", min=1)] = 6,
) -> None:
    """Drop all but the last sessions of a baseline, and the points that none of those has.

    Example: hyenaprof baseline prune benchmarks/baseline.json --keep 6

    Exit status: 0 written; 2 it cannot be read.
    """
    from hyenaprof.records.baseline import prune as pruned
    from hyenaprof.records.baseline import read_baseline, write_baseline

    standing = read_baseline(file)
    left = pruned(standing, keep=keep)
    write_baseline(file, left)
    typer.echo(f"{file}: {len(left.sessions)} of {len(standing.sessions)} sessions kept")


def session_run(
    suite: str | None,
    flags: Mapping[str, str | int | bool | Sequence[str] | None],
    *,
    run: Path | None,
    out: Path | None,
    timeout: str | None,
    accept: Accept | None = None,
) -> Run:
    """A session's run: one that stands, or one measured now.

    Raises:
        HyenaprofError: It cannot be read, or nothing could be measured.
        SystemExit: Interrupted, with 130; what was measured until then stands in its folder.
    """
    from hyenaprof.records.store import load_run

    if run is not None:
        o.refuse_measuring({**flags, "timeout": timeout, "out": out}, beside=str(run), instead="leave --run out")
        return load_run(run)
    return measured_session(suite_of(suite, flags), out=out, timeout_s=o.seconds(timeout), accept=accept)
