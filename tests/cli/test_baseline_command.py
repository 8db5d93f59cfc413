from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest
from builders import make_fingerprint
from commands import run
from scripted import Orders, write_site

from hyenaprof.cli.app import main
from hyenaprof.records.baseline import Baseline, read_baseline, write_baseline

FLAGS = ("--ops", "hyena:fft", "--device", "fake", "--phases", "forward")
SUITE = (*FLAGS, "--lengths", "256,512")


def workers(folder, factor=1.0, **hello):
    """PYTHONPATH under which every worker is a script, so many times as slow."""
    site = write_site(folder, Orders(laws={"hyena": (factor * 1e-6, 1.0)}, hello=hello))
    return os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))


@pytest.fixture(scope="module")
def one_session(tmp_path_factory):
    """A baseline as `baseline new` makes it; measured once."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", workers(folder / "machine"))
        patch.setattr(sys, "argv", ["hyenaprof", "baseline", "new", "b.json", *SUITE])
        with redirect_stdout(StringIO()), pytest.raises(SystemExit):
            main()
    return read_baseline(folder / "b.json")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Sets what this machine's workers do, and gives the empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    inherited = os.environ.get("PYTHONPATH", "")

    def make(factor=1.0, **hello):
        monkeypatch.setenv("PYTHONPATH", inherited)
        monkeypatch.setenv("PYTHONPATH", workers(tmp_path / f"machine-{factor}-{len(hello)}", factor, **hello))
        return tmp_path

    make()
    return make


@pytest.fixture
def stored(machine, one_session):
    """Writes a baseline of so many sessions, each a day later and some a thousandth apart."""

    def of(sessions):
        raw = one_session.model_dump(mode="json")
        (first,) = raw["sessions"]
        held = []
        for day in range(sessions):
            points = {
                name: {**point, "latency_s": [value * (1 + 0.001 * (day % 3)) for value in point["latency_s"]]}
                for name, point in first["points"].items()
            }
            held.append({**first, "started_at": first["started_at"] + 86400 * day, "points": points})
        path = machine() / "b.json"
        write_baseline(path, Baseline.model_validate({**raw, "sessions": held}))
        return path

    return of


def gate(capsys, *arguments):
    return run(capsys, "gate", "--baseline", "b.json", *SUITE, *arguments)


def test_a_new_baseline_holds_one_session_with_calibrations_in_every_round(stored):
    baseline = read_baseline(stored(1))
    (session,) = baseline.sessions
    assert session.rounds == tuple(range(6))
    assert {(point.operator, point.shape.length) for point in baseline.points.values()} == {
        ("hyena", 256),
        ("hyena", 512),
    }
    assert {name: len(values) for name, values in session.calibration.items()} == {"gemm": 6, "copy": 6}
    assert None not in session.calibration["gemm"]


def test_a_baseline_that_is_there_is_not_begun_again(stored, capsys):
    before = stored(1).read_bytes()
    ended = run(capsys, "baseline", "new", "b.json", *SUITE)
    assert ended.status == 2
    assert ended.said() == ("b.json is there already", "add a session to it: hyenaprof baseline add")
    assert stored(1).read_bytes() == before


def test_sessions_are_added_shown_and_pruned(stored, capsys):
    stored(1)
    ended = run(capsys, "baseline", "add", "b.json", *SUITE)
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "b.json: 2 sessions")
    shown = run(capsys, "baseline", "show", "b.json")
    assert shown.status == 0
    assert "hyena:fft forward L=512" in shown.out
    rows = run(capsys, "baseline", "show", "b.json", "--csv").out.splitlines()
    assert len(rows) == 3
    assert rows[0].startswith("time,hyenaprof,hyena:fft/forward/L=256")
    pruned = run(capsys, "baseline", "prune", "b.json", "--keep", "1")
    assert (pruned.status, pruned.out) == (0, "b.json: 1 of 2 sessions kept\n")


def test_six_stored_sessions_let_a_slowdown_be_red(stored, machine, capsys):
    stored(6)
    assert gate(capsys).status == 0
    machine(1.1)
    ended = gate(capsys, "--json", "gate.json")
    assert ended.status == 1
    assert json.loads((machine(1.1) / "gate.json").read_text())["verdicts"][0]["ratio"] == pytest.approx(1.1, rel=0.01)


def test_against_one_session_only_what_is_beyond_ten_per_cent_is_called(stored, machine, capsys):
    stored(1)
    machine(1.08)
    assert gate(capsys).status == 4
    machine(1.3)
    assert gate(capsys).status == 1


def test_a_point_of_the_baseline_that_is_not_measured_any_more_is_red(stored, capsys):
    stored(6)
    ended = run(capsys, "gate", "--baseline", "b.json", *FLAGS, "--lengths", "256")
    assert ended.status == 1
    assert "missing" in ended.out
    assert "hyena:fft forward L=512" in ended.out


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"machine": {"cpu": "Another"}}, "measured on another machine: machine.cpu: Example CPU in the baseline"),
        ({"protocol": {"threads": 4}}, "measured under another protocol: protocol.threads: 2 in the baseline, 4 here"),
    ],
)
def test_another_machine_or_protocol_is_refused_before_anything_is_measured(stored, machine, capsys, other, said):
    before = stored(1).read_bytes()
    own = make_fingerprint().model_dump(mode="json")
    machine(1.0, fingerprint={**own, **{part: {**own[part], **facts} for part, facts in other.items()}})
    for arguments in (("gate", "--baseline", "b.json"), ("baseline", "add", "b.json")):
        ended = run(capsys, *arguments, *SUITE)
        assert ended.status == 3
        assert said in ended.err
        assert "round 1" not in ended.out
    assert stored(1).read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "hyenaprof baseline"}'])
@pytest.mark.parametrize(
    "arguments", [("gate", "--baseline"), ("baseline", "add"), ("baseline", "show"), ("baseline", "prune")]
)
def test_a_corrupt_baseline_is_refused(machine, capsys, text, arguments):
    (machine() / "b.json").write_text(text, encoding="utf-8")
    ended = run(capsys, *arguments, "b.json")
    assert ended.status == 2
    assert ended.said()[0].startswith("baseline b.json")


def test_a_baseline_that_is_not_there_is_refused(machine, capsys):
    machine()
    assert "cannot read baseline b.json" in gate(capsys).said()[0]
