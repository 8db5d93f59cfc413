"""The command line: one app, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import hyenaprof
from hyenaprof.cli import baseline, claims, gate, machine, measure, merging, show, verify
from hyenaprof.errors import HyenaprofError

INTERRUPTED = 130

app = typer.Typer(
    name="hyenaprof",
    help="At which sequence length, on this hardware, does Hyena beat FlashAttention, in time, memory and energy?",
    epilog="Begin with: hyenaprof sweep --ops hyena,flash --max-len 16384",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    measure.sweep,
    measure.crossover,
    gate.gate,
    claims.claims,
    show.report,
    merging.merge,
    show.list_,
    machine.doctor,
    verify.verify,
):
    app.command(name=command.__name__.rstrip("_"))(command)

app.add_typer(baseline.baseline)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"hyenaprof {hyenaprof.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; an error is one sentence and a hint on stderr."""
    try:
        app()
    except HyenaprofError as error:
        typer.secho(f"error: {error.message}", fg=typer.colors.RED, err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
