"""Holds `hyenaprof gate` against the truth on the machine at hand: gates of nothing, and gates of a true slowdown.

A small repository is made whose operator repeats the same work ten times, and in a second commit eleven times: a true
10 % slowdown by work, not by sleeping, that leaves the result as it is. Twenty gates compare a commit with
itself, ten the second with the first. The other operators of the suite are the same on both sides, so that each gate
also shows whether an operator beside the slowed one is blamed. Each gate is one line of a CSV, written when it ends, and
what it printed stands in a log beside it; the same command goes on where it was stopped.

    python benchmarks/gate_for_real.py            # about an hour on 2 cores, nothing else running
    python benchmarks/gate_for_real.py --quick    # one gate of each kind, about 4 minutes: does it work?
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

OPERATOR = "steadywork.steady:Steady"
SUITE = f"""
name: for-real
operators:
  {OPERATOR}: {{}}
  hyena: {{implementations: [fft, chunked]}}
  flash: {{implementations: [sdpa]}}
phases: [forward, training]
lengths: [512]
width: 128
device: cpu
budget: 20m
protocol: {{threads: 1}}
"""
PACKAGE = '''
from typing import NamedTuple

import torch

from hyenaprof.model import Cost
from hyenaprof.operators import OperatorEntry
from hyenaprof.operators.base import TORCH_DTYPES, Operator, leaf, normal, of_phase, seeded

REPEATS = {repeats}


class SteadyInputs(NamedTuple):
    x_BLD: torch.Tensor
    weight_DD: torch.Tensor


class Steady(Operator):
    """A product and a nonlinearity of each token alone, done over and over: the mean of so many equal results."""

    entry = OperatorEntry("", ("plain",), family="work", exponent=1.0, paper="none")

    def inputs(self, shape, scope, *, dtype, device, seed):
        generator = seeded(seed)
        x = normal(shape.batch, shape.length, shape.width, generator=generator)
        weight = normal(shape.width, shape.width, generator=generator) / shape.width**0.5
        return SteadyInputs(*(leaf(values, TORCH_DTYPES[dtype], device) for values in (x, weight)))

    def build(self, implementation, shape, scope, *, dtype, device):
        def steady(x_BLD, weight_DD):
            total_BLD = torch.tanh(x_BLD @ weight_DD)
            for _ in range(REPEATS - 1):
                total_BLD = total_BLD + torch.tanh(x_BLD @ weight_DD)
            return total_BLD / REPEATS

        return steady

    def reference(self, scope, x_BLD, weight_DD):
        return torch.tanh(x_BLD @ weight_DD)

    def cost(self, implementation, shape, scope, *, phase, dtype):
        elements = shape.batch * shape.length * shape.width
        forward = 2.0 * elements * shape.width * REPEATS
        return Cost(
            flops=of_phase(phase, forward=forward, backward=2 * forward),
            bytes=of_phase(phase, forward=8.0 * elements, backward=16.0 * elements),
            need_bytes=64.0 * elements * REPEATS,
            parameters=shape.width**2,
            source="benchmarks/gate_for_real.py",
        )
'''
BUILD = 'cp -r steadywork "$VIRTUAL_ENV"/lib/python*/site-packages/'
FIELDS = ("kind", "number", "status", "seconds", "rounds", "regressed", "inconclusive", "least_detectable", "ratios")
ALIKE, SLOWED = "A/A", "10 % slower"


def make_repository(folder: Path) -> None:
    """Two commits: ten repeats, then eleven."""
    (folder / "steadywork").mkdir(parents=True)
    (folder / "steadywork" / "__init__.py").touch()
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    (folder / "pyproject.toml").write_text('[project]\nname = "steadywork"\nversion = "1"\n', encoding="utf-8")
    (folder / ".gitignore").write_text("runs/\n*.json\n__pycache__/\n", encoding="utf-8")
    git(folder, "init", "-q")
    for repeats in (10, 11):
        (folder / "steadywork" / "steady.py").write_text(PACKAGE.format(repeats=repeats), encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"{repeats} repeats")


def git(folder: Path, *arguments: str) -> None:
    """Runs git in a folder."""
    identity = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def run_gate(folder: Path, kind: str, number: int, *, log: TextIO) -> dict[str, object]:
    """One gate of a kind, as a row; what it prints goes to the log."""
    against = "HEAD" if kind == ALIKE else "HEAD~1"
    began = time.monotonic()
    log.write(f"== {kind}, gate {number}\n")
    log.flush()
    command = [sys.executable, "-m", "hyenaprof", "gate", "suite.yaml", "--against", against, "--build", BUILD]
    ended = subprocess.run([*command, "--json", "gate.json"], cwd=folder, check=False, stdout=log, stderr=log)
    if not (folder / "gate.json").exists():
        sys.exit(f"gate {number} of {kind} ended with {ended.returncode}: see the log")
    told = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    (folder / "gate.json").unlink()
    return {
        "kind": kind,
        "number": number,
        "status": ended.returncode,
        "seconds": round(time.monotonic() - began),
        **_row(told["verdicts"]),
    }


def _row(verdicts: list[dict[str, object]]) -> dict[str, object]:
    timed = [verdict for verdict in verdicts if verdict["metric"] == "latency"]
    named = {ruling: [_name(v) for v in verdicts if v["verdict"] == ruling] for ruling in ("regressed", "inconclusive")}
    detectable = [float(str(v["detectable"])) for v in timed if v["detectable"] is not None]
    return {
        "rounds": max((int(str(verdict["rounds"])) for verdict in timed), default=0),
        **{ruling: " ".join(names) for ruling, names in named.items()},
        "least_detectable": f"{max(detectable):.3f}" if detectable else "",
        "ratios": " ".join(f"{_name(v)}={v['ratio']:.4f}" for v in timed if v["ratio"] is not None),
    }


def _name(verdict: dict[str, object]) -> str:
    point = verdict["point"]
    assert isinstance(point, dict)  # noqa: S101 -- of a JSON file that was just written
    return f"{point['operator']}:{point['implementation']}/{point['phase']}"


def wanted(alike: int, slowed: int, rows: list[dict[str, str]]) -> Iterator[tuple[str, int]]:
    """What is still to be measured, the two kinds in turn so that both see the same hours of the machine."""
    done = {(row["kind"], int(row["number"])) for row in rows}
    order = [
        (number / count, kind, number) for kind, count in ((ALIKE, alike), (SLOWED, slowed)) for number in range(count)
    ]
    yield from ((kind, number) for _, kind, number in sorted(order) if (kind, number) not in done)


def summary(rows: list[dict[str, str]]) -> str:
    """What all gates so far come to."""
    alike, slowed = ([row for row in rows if row["kind"] == kind] for kind in (ALIKE, SLOWED))
    flagged = sum(bool(row["regressed"]) for row in alike)
    found = sum(OPERATOR in row["regressed"] for row in slowed)
    others = sum(any(not name.startswith(OPERATOR) for name in row["regressed"].split()) for row in slowed)
    return (
        f"{flagged} of {len(alike)} A/A gates flagged anything; the slowdown was flagged in {found} of {len(slowed)} "
        f"gates, another operator in {others}"
    )


def main() -> None:
    """Measures what is missing, then sums up."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alike", type=int, default=20, help="gates of nothing [20]")
    parser.add_argument("--slowed", type=int, default=10, help="gates of a true slowdown [10]")
    parser.add_argument("--quick", action="store_true", help="one of each")
    parser.add_argument("--out", type=Path, default=Path("reports/gate/for-real.csv"), help="the CSV")
    asked = parser.parse_args()
    counts = (1, 1) if asked.quick else (asked.alike, asked.slowed)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(asked.out.open(encoding="utf-8"))) if asked.out.exists() else []
    with (
        tempfile.TemporaryDirectory() as name,
        asked.out.open("a", encoding="utf-8", newline="") as table,
        asked.out.with_suffix(".log").open("a", encoding="utf-8") as log,
    ):
        folder = Path(name) / "steadywork"
        make_repository(folder)
        writer = csv.DictWriter(table, FIELDS)
        if not rows:
            writer.writeheader()
        for kind, number in wanted(*counts, rows):
            row = run_gate(folder, kind, number, log=log)
            writer.writerow(row)
            table.flush()
            rows.append({key: str(value) for key, value in row.items()})
            print(f"{kind} {number}: exit {row['status']}, {row['rounds']} rounds, {row['seconds']} s", flush=True)
    print(summary(rows))


if __name__ == "__main__":
    main()
