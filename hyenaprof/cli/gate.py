"""The command that turns red when an operator became slower."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyenaprof.cli import options as o
from hyenaprof.cli.suite import INTERRUPTED, interruptible, measured_session, suite_of
from hyenaprof.errors import ScenarioError

if TYPE_CHECKING:
    from hyenaprof.analysis.gate import Gate
    from hyenaprof.cli.outputs import Outputs
    from hyenaprof.model import Record
    from hyenaprof.records.scenario import Scenario
    from hyenaprof.records.tolerances import Expected, Tolerances
    from hyenaprof.running.environments import Compared
    from hyenaprof.running.gate import GateRun
    from hyenaprof.running.progress import PlainDisplay

MAX_INCONCLUSIVE = "20%"
SIDES, JUDGED, TOLD = "What is compared", "How it is judged", "What is written"


def gate(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="A scenario's file or the name of a shipped one [gate].")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="REF", help="The commit that the working tree is held against.", rich_help_panel=SIDES),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A=PATH", help="Two environments: A=PATH the base, B=PATH the candidate.", rich_help_panel=SIDES
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Sessions stored by `hyenaprof baseline`, on this machine.", rich_help_panel=SIDES
        ),
    ] = None,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="This environment against itself: must be green.", rich_help_panel=SIDES),
    ] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show what would be measured, how long, what it could detect.", rich_help_panel=SIDES
        ),
    ] = False,
    build: Annotated[
        str | None,
        typer.Option(
            metavar="CMD",
            help="Installs either side, run in its tree [pip install --no-deps --no-build-isolation .].",
            rich_help_panel=SIDES,
        ),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(metavar="P", help="Slowdown that passes [3% GPU, 5% CPU].", rich_help_panel=JUDGED),
    ] = None,
    tolerances: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tolerances by point: `hyena:*/training: 3%`.", rich_help_panel=JUDGED),
    ] = None,
    expected: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Changes made on purpose, each until a date.", rich_help_panel=JUDGED),
    ] = None,
    max_inconclusive: Annotated[
        str, typer.Option(metavar="P", help="Inconclusive points before it exits 4.", rich_help_panel=JUDGED)
    ] = MAX_INCONCLUSIVE,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 4 at the first inconclusive point.", rich_help_panel=JUDGED)
    ] = False,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the verdicts as JSON.", rich_help_panel=TOLD)
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them as JUnit XML.", rich_help_panel=TOLD)
    ] = None,
    benchmark_json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write times for github-action-benchmark.", rich_help_panel=TOLD),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of both runs [runs/gate-NAME-HASH].", rich_help_panel=TOLD),
    ] = None,
    ops: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Operators, as NAME or NAME:IMPLEMENTATION; a bare name is every implementation that runs on both "
            "sides; package.module:Class is one of your own.",
            rich_help_panel=o.PLAN,
        ),
    ] = None,
    set_: o.Set = None,
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
    cache: o.Cache = None,
    allocator: o.Allocator = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; with one, CPU time is the clock [1].", min=1, rich_help_panel=o.HOW)
    ] = None,
    cuda_graph: o.CudaGraph = None,
    timeout: o.Timeout = None,
) -> None:
    """Turn red exactly when an operator became slower, needs more memory or stopped working.

    With --against both sides are built from their own git worktrees, into environments that see what is installed here,
    and measured by this hyenaprof in paired rounds of fresh processes: 6 rounds at first, up to 24 for what is not clear
    by then. The suite is a scenario; --ops and the other flags change it. Nothing is left behind but the runs' folder.

    Examples:
      hyenaprof gate --against main --ops mypkg.mod:Class

      hyenaprof gate suite.yaml --against v1.2 --build "make install"

      hyenaprof gate --python A=old/bin/python --python B=new/bin/python

      hyenaprof gate --baseline baseline.json --tolerances t.yaml

      hyenaprof gate --self-test

    Exit status: 0 no regression; 1 a point is slower, larger, newly failing or missing; 2 bad request, unknown commit,
    failed build, unreadable baseline; 3 other machine or protocol, empty suite, nothing in common; 4 too noisy to judge,
    or one session only; 130 interrupted.
    """
    flags = {
        "ops": ops,
        "set": set_,
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
        "cache": cache,
        "allocator": allocator,
        "threads": threads,
        "cuda_graph": cuda_graph,
    }
    from hyenaprof.units import parse_fraction

    sides = Sides(against, pythons_of(python), baseline, self_test=self_test, build=build)
    sides.refuse_unclear(plan=plan)
    rules = rules_of(tolerance, tolerances, expected)
    most = parse_fraction(max_inconclusive)
    page = suite_of(suite, flags)
    if plan:
        _show_plan(page, rules)
        return
    from hyenaprof.cli.outputs import Outputs

    outputs = Outputs(json=json, junit=junit, benchmark_json=benchmark_json)
    if baseline is not None:
        found = _against_stored(baseline, page, rules, out=out, timeout_s=o.seconds(timeout))
        lead = f"This environment against the sessions of {baseline.name}."
        raise typer.Exit(finish(found, outputs, lead=lead, most=most, strict=strict))
    with interruptible():
        run, lead = _measured(page, sides, rules, out=out, timeout_s=o.seconds(timeout))
    raise typer.Exit(finish(run.gate, outputs, lead=lead, most=most, strict=strict, stopped=run.interrupted))


@dataclass(frozen=True, slots=True)
class Sides:
    """Which two things are compared, as it was asked for.

    Attributes:
        against: A commit that the working tree is held against.
        pythons: Interpreters of A and B.
        baseline: A file of stored sessions.
        self_test: This environment against itself.
        build: How either tree is installed.
    """

    against: str | None
    pythons: Mapping[str, str]
    baseline: Path | None
    self_test: bool
    build: str | None

    def refuse_unclear(self, *, plan: bool) -> None:
        """Lets one kind of comparison through; a plan needs none.

        Raises:
            ScenarioError: None was asked for, or two.
        """
        asked = {
            "--against": self.against is not None,
            "--python": bool(self.pythons),
            "--baseline": self.baseline is not None,
            "--self-test": self.self_test,
        }
        given = [name for name, is_given in asked.items() if is_given]
        if len(given) > 1:
            raise ScenarioError(f"{given[0]} and {given[1]} are both given", hint="give one of them")
        if not given and not plan:
            raise ScenarioError(
                "nothing to compare with", hint="give --against REF, --python A=PATH --python B=PATH or --baseline FILE"
            )
        if self.build is not None and self.against is None:
            raise ScenarioError("--build is for --against alone", hint="leave it out: nothing is built here")


@dataclass(frozen=True, slots=True)
class JudgingRules:
    """What passes.

    Attributes:
        tolerances: By point.
        expected: Changes that were made on purpose.
    """

    tolerances: Tolerances
    expected: tuple[Expected, ...]


def rules_of(tolerance: str | None, tolerances: Path | None, expected: Path | None) -> JudgingRules:
    """Reads what passes.

    Raises:
        ToleranceError: A file that cannot be read, or an expected change that has expired.
        ScenarioError: No such fraction.
    """
    from hyenaprof.records.tolerances import Tolerances, load_expected, load_tolerances
    from hyenaprof.units import parse_fraction

    default = None if tolerance is None else parse_fraction(tolerance)
    today = dt.datetime.now(dt.UTC).date()
    return JudgingRules(
        Tolerances(tolerance=default) if tolerances is None else load_tolerances(tolerances, tolerance=default),
        () if expected is None else load_expected(expected, today=today),
    )


def pythons_of(entries: Sequence[str] | None) -> dict[str, str]:
    """Reads `--python A=PATH --python B=PATH`.

    Raises:
        ScenarioError: Not both, not of that form, or no such interpreter.
    """
    import shutil

    found: dict[str, str] = {}
    for entry in entries or ():
        side, _, path = entry.partition("=")
        if side not in {"A", "B"} or not path:
            raise ScenarioError(f"--python {entry!r} is not A=PATH or B=PATH", hint="A is the base, B the candidate")
        interpreter = shutil.which(path)
        if interpreter is None:
            raise ScenarioError(f"--python {side}: no interpreter there", hint="give the path of a python executable")
        found[side] = interpreter
    if found and len(found) != 2:
        raise ScenarioError("--python names one side alone", hint="give --python A=PATH and --python B=PATH")
    return found


def _measured(
    page: Scenario, sides: Sides, rules: JudgingRules, *, out: Path | None, timeout_s: float | None
) -> tuple[GateRun, str]:
    """Measures both sides and judges them; with it, what was compared, in a sentence."""
    from rich.console import Console

    from hyenaprof.analysis.gate import judge
    from hyenaprof.running.gate import measure_gate
    from hyenaprof.running.progress import PlainDisplay

    def judged(base: Iterable[Record], candidate: Iterable[Record], closing: bool) -> Gate:
        return judge(base, candidate, tolerances=rules.tolerances, expected=rules.expected, closing=closing)

    display = PlainDisplay(Console())
    with _compared(page, sides, display) as compared:
        lead = f"{compared.candidate_name[:1].upper()}{compared.candidate_name[1:]} against {compared.base_name}."
        display.note(lead)
        return measure_gate(page, compared, judged, display, out=out, timeout_s=timeout_s), lead


def _against_stored(
    file: Path, page: Scenario, rules: JudgingRules, *, out: Path | None, timeout_s: float | None
) -> Gate:
    """Measures a session and judges it against those that a baseline holds."""
    from hyenaprof.analysis.stored import judge_stored
    from hyenaprof.records.baseline import read_baseline
    from hyenaprof.records.fingerprints import refuse_other
    from hyenaprof.records.sessions import points_of, session_of

    stored = read_baseline(file)
    last = stored.sessions[-1].fingerprint
    run = measured_session(page, out=out, timeout_s=timeout_s, accept=lambda here: refuse_other(last, here))
    session = session_of(run)
    return judge_stored(stored, session, points_of(run), tolerances=rules.tolerances, expected=rules.expected)


def _compared(page: Scenario, sides: Sides, display: PlainDisplay) -> AbstractContextManager[Compared]:
    from hyenaprof.running import environments

    if sides.against is not None:
        return environments.against(sides.against, page.operators, display.note, build=sides.build)
    if sides.pythons:
        return environments.of_interpreters(sides.pythons, page.operators, display.note)
    return environments.alike()


def finish(gate: Gate, outputs: Outputs, *, lead: str, most: float, strict: bool, stopped: bool = False) -> int:
    """Tells of the verdicts in every place that was asked for, and gives the exit status.

    Raises:
        NothingMeasuredError: No point ran on both sides, and none is red.
        GateError: A file cannot be written.
    """
    from rich.console import Console

    from hyenaprof.cli.verdicts import status_of, tell

    status = INTERRUPTED if stopped else status_of(gate, max_inconclusive=most, strict=strict)
    tell(gate, status=status, console=Console())
    outputs.write(gate, status=status, lead=lead)
    return status


def _show_plan(page: Scenario, rules: JudgingRules) -> None:
    from rich.console import Console

    from hyenaprof.cli.gate_tables import gate_plan_table
    from hyenaprof.running.gateplan import plan_gate

    Console().print(gate_plan_table(plan_gate(page, tolerances=rules.tolerances), budget_s=page.budget))
