"""Flags that several commands share, and how they become a scenario: the same object that YAML becomes.

A command lists the flags it takes one by one: typer reads them off its signature, and one that is put together from a
shared list would be seen neither by a type checker nor by a reader of the command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyenaprof.errors import ScenarioError, did_you_mean

if TYPE_CHECKING:
    from hyenaprof.records.scenario import Scenario

_PLACEHOLDER: dict[str, dict[str, str]] = {"hyena": {}}
Raw = dict[str, Any]  # a scenario's mapping before it is validated

PLAN, HOW = "What is measured", "How it is measured"

Ops = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Operators, as NAME or NAME:IMPLEMENTATION; a bare name is the fastest that verifies here; "
        "package.module:Class is one of your own.",
        rich_help_panel=PLAN,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="OP.OPTION=VALUE", help="An operator's option, as hyena.order=3.", rich_help_panel=PLAN
    ),
]
MinLen = Annotated[
    str | None,
    typer.Option(
        metavar="L", help="Shortest length [1k; lower where the incumbent does not clearly lead].", rich_help_panel=PLAN
    ),
]
MaxLen = Annotated[
    str | None, typer.Option(metavar="L", help="Longest length: 131072, 128k, 1M [128k].", rich_help_panel=PLAN)
]
Lengths = Annotated[
    str | None, typer.Option(metavar="L,L", help="Exactly these lengths, as 1k,3k,8000.", rich_help_panel=PLAN)
]
Batch = Annotated[str | None, typer.Option(metavar="B,B", help="Batch sizes [1].", rich_help_panel=PLAN)]
Width = Annotated[str | None, typer.Option(metavar="D,D", help="Model widths [768].", rich_help_panel=PLAN)]
Heads = Annotated[str | None, typer.Option(metavar="H,H", help="Heads [width / 64].", rich_help_panel=PLAN)]
Dtype = Annotated[
    str | None, typer.Option(metavar="T,T", help="float32, bfloat16, float16, float64 [auto].", rich_help_panel=PLAN)
]
Device = Annotated[
    str | None, typer.Option(metavar="DEV", help="auto, cuda, cuda:1 or cpu [auto].", rich_help_panel=PLAN)
]
ScopeOption = Annotated[
    str | None,
    typer.Option("--scope", metavar="S", help="layer (with projections) or core [layer].", rich_help_panel=PLAN),
]
Phases = Annotated[
    str | None,
    typer.Option(metavar="P,P", help="forward, backward, training [all three].", rich_help_panel=PLAN),
]
Seed = Annotated[int | None, typer.Option(help="Seed of inputs and weights [0].", min=0, rich_help_panel=PLAN)]
Budget = Annotated[
    str | None, typer.Option(metavar="TIME", help="Time in all: 90s, 10m, 1h [10m].", rich_help_panel=HOW)
]
CrossoverBudget = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Time in all: 90s, 10m, 1h [3m, or the scenario's].", rich_help_panel=HOW),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="P", help="Half-width of a median's 95 % interval to stop at [1% GPU, 5% CPU].", rich_help_panel=HOW
    ),
]
Rounds = Annotated[
    int | None, typer.Option(help="Exactly so many rounds [as the precision needs].", min=1, rich_help_panel=HOW)
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="C", help="On a GPU. cold: flush the cache before each sample; hot: do not [cold].", rich_help_panel=HOW
    ),
]
Allocator = Annotated[
    str | None,
    typer.Option(
        metavar="A", help="warm: keep freed host memory; default: glibc's own settings [warm].", rich_help_panel=HOW
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads; with one, CPU time is the clock [torch's own choice].", min=1, rich_help_panel=HOW),
]
CudaGraph = Annotated[
    bool | None, typer.Option("--cuda-graph", help="Capture and replay where possible.", rich_help_panel=HOW)
]
Timeout = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Kill an operator that gives no answer for so long [10 times the predicted time, at least 1m].",
        rich_help_panel=HOW,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Try even what is known not to fit the memory by inference.", rich_help_panel=HOW),
]
Python = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OP:IMPL=PATH",
        help="Run one side in another environment's interpreter, as flash:fa4=venv/bin/python.",
        rich_help_panel=HOW,
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The run's folder [runs/NAME-HASH].", rich_help_panel=HOW)
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Begin a new run instead of going on with one.", rich_help_panel=HOW)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout; progress goes to stderr.")
]


def scenario_of(
    source: str | None, flags: Mapping[str, str | int | bool | Sequence[str] | None], *, prefix: str = ""
) -> Scenario:
    """Builds the scenario: a file or shipped name, if one is given, with flags over it.

    Args:
        source: Path, or the bare name of a shipped scenario, or None.
        flags: Values by flag name with underscores, None where not given.
        prefix: Set before the scenario's name, and so its run's, to keep runs of another kind apart.

    Raises:
        ScenarioError: The first thing wrong, in one sentence.
    """
    from hyenaprof.records.scenario import read_yaml, scenario_from

    raw: Raw = {}
    lines: dict[str, int] | None = None
    place = "the flags"
    if source is not None:
        path = find_scenario(source)
        raw, lines = read_yaml(path)
        raw.setdefault("name", path.stem)
        place = path.name
    overlay(raw, flags)
    if "operators" not in raw:
        scenario_from({**raw, "operators": _PLACEHOLDER}, source=place, lines=lines)  # what else is wrong comes first
        raise ScenarioError("nothing to measure", hint="give --ops hyena,flash, or a scenario (`hyenaprof list`)")
    if source is None:
        names = "-".join(re.sub(r"[^A-Za-z0-9._]", "_", str(name)) for name in raw["operators"])
        raw["name"] = names.lstrip("._")[:60]
    raw["name"] = prefix + str(raw["name"]).removeprefix(prefix)  # a run's own page has it already
    return scenario_from(raw, source=place, lines=lines)


def refuse_measuring(flags: Mapping[str, object], *, beside: str, instead: str = "name a scenario to measure") -> None:
    """Refuses flags that say how to measure where nothing is measured.

    Raises:
        ScenarioError: One of them was given, beside a table or a run.
    """
    given = next((name for name, value in flags.items() if value is not None and value is not False), None)
    if given:
        raise ScenarioError(
            f"--{given.replace('_', '-')} says how to measure, but {Path(beside).name} is only analysed",
            hint=f"leave the flag out, or {instead}",
        )


def find_scenario(source: str) -> Path:
    """Finds a scenario's file by path or by the bare name of a shipped one.

    Raises:
        ScenarioError: Neither; the hint names the nearest.
    """
    from hyenaprof.resources import scenario_files

    path = Path(source)
    if path.is_file():
        return path
    shipped = scenario_files()
    name = source.removesuffix(".yaml")
    if name not in shipped:
        raise ScenarioError(f"no scenario {source!r}", hint=did_you_mean(name, shipped))
    return Path(str(shipped[name]))


def overlay(raw: Raw, flags: Mapping[str, str | int | bool | Sequence[str] | None]) -> None:
    """Lays flags over a scenario's mapping, in place."""
    given = {name: value for name, value in flags.items() if value is not None}
    if ops := given.get("ops"):
        raw["operators"] = _operators(str(ops))
    for setting in _strings(given.get("set")):
        _set_option(raw, setting)
    _overlay_lengths(raw, given)
    for name in ("batch", "width", "heads", "dtype", "phases"):
        if name in given:
            raw[name] = [
                _integer(name, part) if name in {"batch", "width", "heads"} else part for part in _split(given[name])
            ]
    for name in ("device", "scope", "seed", "budget", "precision", "rounds"):
        if name in given:
            raw[name] = given[name]
    protocol = {name: given[name] for name in ("cache", "allocator", "threads", "cuda_graph") if name in given}
    if protocol and _is_mapping(raw.get("protocol")):
        raw["protocol"] = {**(raw.get("protocol") or {}), **protocol}


def _is_mapping(value: object) -> bool:
    """Whether flags can be laid over it; whatever else a page may hold there is refused when it is validated."""
    return value is None or isinstance(value, Mapping)


def _split(value: object) -> list[str]:
    return [part.strip() for part in str(value).split(",") if part.strip()]


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ScenarioError(
            f"--{name} {text!r} is not a whole number", hint=f"write --{name} 8 or --{name} 1,8"
        ) from None


def _operators(ops: str) -> Raw:
    operators: dict[str, Raw] = {}
    for entry in _split(ops):
        name, implementation = _side(entry)
        chosen = operators.setdefault(name, {"implementations": []})
        if implementation and implementation not in chosen["implementations"]:
            chosen["implementations"].append(implementation)
    if not operators:
        raise ScenarioError("--ops names no operator", hint="write --ops hyena,flash")
    return operators


def _side(entry: str) -> tuple[str, str]:
    """Operator and implementation of `hyena:fft`, or of `package.module:Class:plain`; the latter empty where not named."""
    from hyenaprof.records.outside import is_outside

    name, _, rest = entry.partition(":")
    if not is_outside(name):
        return name, rest
    class_name, _, implementation = rest.partition(":")
    return f"{name}:{class_name}" if class_name else name, implementation


def _set_option(raw: Raw, setting: str) -> None:
    from yaml import YAMLError, safe_load

    target, equals, value = setting.partition("=")
    name, dot, option = target.rpartition(".")
    if not (equals and dot and option):
        raise ScenarioError(f"--set {setting!r} is not OPERATOR.OPTION=VALUE", hint="write --set hyena.order=3")
    operators = raw.get("operators") or {}
    if not _is_mapping(operators) or not all(_is_mapping(chosen) for chosen in operators.values()):
        return
    if name not in operators:
        raise ScenarioError(f"--set names {name!r}, which is not measured", hint=did_you_mean(name, operators))
    try:
        operators[name] = {**(operators[name] or {}), option: safe_load(value)}
    except (YAMLError, ValueError):
        raise ScenarioError(f"--set {setting!r}: {value!r} is no value", hint="write --set hyena.order=3") from None


def _overlay_lengths(raw: Raw, given: Mapping[str, object]) -> None:
    from hyenaprof.units import parse_length

    bounds = {key: given[flag] for flag, key in (("min_len", "from"), ("max_len", "to")) if flag in given}
    if "lengths" in given:
        if "min_len" in given:
            raise ScenarioError("--lengths and --min-len are both given", hint="give one of them")
        raw["lengths"] = _split(given["lengths"])
    lengths = raw.get("lengths")
    if not bounds:
        return
    if _is_mapping(lengths):
        raw["lengths"] = {**(lengths or {}), **bounds}
        return
    listed = [(length, parse_length(str(length))) for length in (lengths if isinstance(lengths, list) else [lengths])]
    for key, flag, side in (("from", "--min-len", "under"), ("to", "--max-len", "over")):
        limit = parse_length(str(bounds[key])) if key in bounds else None
        for length, tokens in listed:
            if limit is not None and (tokens < limit if key == "from" else tokens > limit):
                raise ScenarioError(
                    f"lengths: {length} is {side} {flag} {bounds[key]}", hint=f"change {flag}, or drop that length"
                )


def seconds(duration: str | None) -> float | None:
    """Reads a duration, None where none was given.

    Raises:
        ScenarioError: Not a positive, finite duration.
    """
    from hyenaprof.units import parse_duration

    return None if duration is None else parse_duration(duration)


def interpreters(entries: Sequence[str] | None) -> dict[str, str]:
    """Reads `--python OP:IMPL=PATH` entries.

    Raises:
        ScenarioError: Not of that form, or no such interpreter.
    """
    import shutil

    found: dict[str, str] = {}
    for entry in entries or ():
        side, equals, path = entry.partition("=")
        if not equals or ":" not in side:
            raise ScenarioError(
                f"--python {entry!r} is not OP:IMPL=PATH", hint="write --python flash:fa4=venv/bin/python"
            )
        interpreter = shutil.which(path)
        if interpreter is None:
            raise ScenarioError(f"--python {side}: no interpreter there", hint="give the path of a python executable")
        found[side] = interpreter
    return found
