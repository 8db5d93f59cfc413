"""The command that holds published claims against measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyenaprof.cli import options as o
from hyenaprof.errors import ScenarioError, did_you_mean

if TYPE_CHECKING:
    from hyenaprof.analysis.claims import ClaimResult, ClaimsFile
    from hyenaprof.records.source import Source
    from hyenaprof.running.runner import SweepRequest

DENIED, NOTHING_COMPARABLE = 1, 3


def claims(  # noqa: PLR0917 -- one parameter a flag; typer calls it by name
    measured: Annotated[
        str | None, typer.Argument(metavar="RUN|TABLE", help="A run's folder, or a .csv or .json table of times.")
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE", help="Shipped sources by name, or YAML files of one's own [all shipped ones]."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="SOURCE", help="Measure this source's own scenario first.")
    ] = None,
    json: o.AsJson = False,
    max_len: o.MaxLen = None,
    dtype: o.Dtype = None,
    device: o.Device = None,
    budget: o.Budget = None,
    precision: o.Precision = None,
    rounds: o.Rounds = None,
    threads: o.Threads = None,
    timeout: o.Timeout = None,
    force: o.Force = False,
    python: o.Python = None,
    out: o.Out = None,
    fresh: o.Fresh = False,
) -> None:
    """Hold published claims against a run or a table: reproduced, not reproduced, or not comparable, and why.

    A claim's stated conditions (phase, batch, dtype, device, options) must be those of the measurement, or it is not
    comparable; what its source leaves open blocks nothing, and the verdict is for the setting that it names. With --run
    the source's scenario is measured first, as `hyenaprof sweep` would; the flags below are for that.

    Examples:
      hyenaprof claims runs/hyena-flash-1a2b3c4d

      hyenaprof claims hyena-fig4.3.csv hyena-paper

      hyenaprof claims --run hyena-paper --device cuda --budget 1h

    Exit status: 0 no comparable claim is contradicted; 1 at least one is not reproduced; 2 bad request; 3 none could be
    compared, or nothing could be measured; 130 interrupted.
    """
    flags = {
        "max_len": max_len,
        "dtype": dtype,
        "device": device,
        "budget": budget,
        "precision": precision,
        "rounds": rounds,
        "threads": threads,
    }
    rest = {"timeout": timeout, "force": force, "python": python, "out": out, "fresh": fresh}
    if run is None:
        o.refuse_measuring({**flags, **rest}, beside=measured or "a run", instead="give --run SOURCE")
        source = _read(measured)
        raise typer.Exit(_judge(source, load_sources(sources or ()), json=json))
    if measured is not None:
        raise ScenarioError(f"--run and {measured!r} are both given", hint="give one of them")
    from hyenaprof.running.runner import SweepRequest

    (file,) = load_sources([run])
    request = SweepRequest(
        o.scenario_of(_scenario_of(file), flags),
        out=out,
        fresh=fresh,
        pythons=o.interpreters(python),
        timeout_s=o.seconds(timeout),
        force=force,
    )
    raise typer.Exit(_measure_and_judge(request, file, json=json))


def _read(measured: str | None) -> Source:
    from hyenaprof.records.source import holds_numbers, read_source
    from hyenaprof.resources import claims_files

    if measured is None:
        raise ScenarioError("nothing to hold claims against", hint="name a run or a table, or give --run SOURCE")
    if measured in claims_files() and not holds_numbers(measured):
        hint = f"name a run or a table before it, or measure its scenario: --run {measured}"
        raise ScenarioError(f"{measured} is a source of claims and holds no measurements", hint=hint)
    return read_source(measured)


def _measure_and_judge(request: SweepRequest, file: ClaimsFile, *, json: bool) -> int:
    from hyenaprof.cli.measure import INTERRUPTED, measured, show, status_of
    from hyenaprof.records.source import source_of

    run, interrupted = measured(request, quiet=json)
    show(run, quiet=json)
    if not interrupted:
        status_of(run)  # raises where nothing could be measured; a point that is incorrect was not timed either
    verdict = _judge(source_of(run), [file], json=json)
    return INTERRUPTED if interrupted else verdict


def load_sources(names: Sequence[str]) -> tuple[ClaimsFile, ...]:
    """Reads sources of claims, each once: files of one's own, or shipped ones by name; all of these where none is named.

    Raises:
        ScenarioError: No such source; the hint names the nearest.
    """
    from hyenaprof.analysis.claims import load_claims
    from hyenaprof.resources import claims_files

    shipped = claims_files()
    paths: dict[Path, Path] = {}
    for name in names or shipped:
        if not Path(name).is_file() and name not in shipped:
            if Path(name).suffix in {".yaml", ".yml"} or Path(name).name != name:
                hint = f"give the path of a YAML file of claims, or one of {', '.join(shipped)}"
                raise ScenarioError(f"no file {name}", hint=hint)
            raise ScenarioError(f"no claims {name!r}", hint=did_you_mean(name, shipped))
        path = Path(name) if Path(name).is_file() else shipped[name]
        paths.setdefault(path.resolve(), path)
    return tuple(load_claims(path) for path in paths.values())


def _scenario_of(file: ClaimsFile) -> str:
    if file.scenario is None:
        raise ScenarioError(
            f"{file.name} names no scenario to measure", hint="give it `scenario:`, or hold it against a run"
        )
    return file.scenario


def _judge(source: Source, files: Iterable[ClaimsFile], *, json: bool) -> int:
    from hyenaprof.analysis.claim_checks import Known, judge_claims
    from hyenaprof.analysis.claims import Verdict
    from hyenaprof.report.machine import as_json, claims_form
    from hyenaprof.report.words import device_name

    kinds = dict.fromkeys(record.point.device for record in source.records) if source.fingerprints else {}
    device = " and ".join(device_name(source.fingerprints, kind) for kind in kinds)
    results = judge_claims(files, source.records, Known(source.stated, device or None))
    if json:
        typer.echo(as_json(claims_form(source, results)))
    else:
        _show(source, results)
    verdicts = {result.verdict for result in results}
    if Verdict.NOT_REPRODUCED in verdicts:
        return DENIED
    return 0 if Verdict.REPRODUCED in verdicts else NOTHING_COMPARABLE


def _show(source: Source, results: Sequence[ClaimResult]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line, style in _lines(source, results):
        console.print(Text(line, style), soft_wrap=True)
    for warning in source.warnings:
        console.print(Text(f"warning: {warning}", "yellow"), soft_wrap=True)


def _measured(source: Source, shared: Sequence[str]) -> str | None:
    """The setting that all verdicts share, and what the table does not say of it."""
    from hyenaprof.records.table_file import SETTING_COLUMNS

    unstated = [name for name in SETTING_COLUMNS if name not in source.stated]
    parts = ([", ".join(shared)] if shared else []) + (
        [f"{', '.join(unstated)}: not stated by the table"] if unstated else []
    )
    return f"Measured: {'; '.join(parts)}" if parts else None


def _lines(source: Source, results: Sequence[ClaimResult]) -> Iterator[tuple[str, str]]:
    from hyenaprof.analysis.claims import Verdict, shared_setting

    styles = {Verdict.REPRODUCED: "green", Verdict.NOT_REPRODUCED: "red", Verdict.NOT_COMPARABLE: "dim"}
    shared = shared_setting(results)
    measured_in = _measured(source, shared)
    if measured_in:
        yield f"{measured_in}\n", ""
    for file, of_file in groupby(results, key=lambda result: result.file):
        yield f"{file.name}: {file.source}", "bold"
        for claim, held in groupby(of_file, key=lambda result: result.claim):
            yield f"  {claim.id} ({claim.where})\n    {claim.statement}", ""
            for result in held:
                measured = f", measured {result.measured}" if result.measured else ""
                own = [word for word in result.setting if word not in shared] if result.measured else []
                where = f" in {', '.join(own)}" if own else ""
                said = f"{result.verdict}{where}: published {result.published}{measured}; {result.reason}"
                if result.unchecked and result.measured:
                    said += f"; the source's {', '.join(result.unchecked)} could not be checked"
                yield f"    {said}", styles[result.verdict]
        yield "", ""
    counts = Counter(result.verdict for result in results)
    yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict), "bold"
