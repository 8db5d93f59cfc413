from __future__ import annotations

import random
import signal
import subprocess

import pytest
from scripted import Orders, write_script
from whole_program import LIMIT_S, Program, grid, visits_of

from hyenaprof.records.journal import NAME
from hyenaprof.records.store import load_run

SMALL = (
    *("sweep", "--ops", "hyena:fft,flash:sdpa", "--device", "fake", "--lengths", "64,128"),
    *("--phases", "forward", "--rounds", "2", "--out", "mine"),
)
WHOLE_SMALL = grid(("hyena:fft", "flash:sdpa"), ("forward",), (64, 128), 2)

KILLS = 20
ROUNDS = 6
KILLED = (
    *("sweep", "--ops", "hyena:fft,flash:sdpa", "--device", "fake", "--lengths", "64,128,256"),
    *("--phases", "forward,backward,training", "--rounds", str(ROUNDS), "--out", "mine"),
)
WHOLE_KILLED = grid(("hyena:fft", "flash:sdpa"), ("forward", "backward", "training"), (64, 128, 256), ROUNDS)
MOST_VISITS_A_SESSION = 4
"""Seven sessions of so many, and thirteen killed as they start, leave something to do: the run holds 72."""
STARTING_S = 1.5
VISIT_S = 0.15


def after_visits(process, count):
    """Reads what a sweep prints until it has told of so many visits; gives the lines of visits."""
    told = []
    while len(told) < count:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        if "] round " in line:
            told.append(line)
    return told


@pytest.fixture
def interrupted(tmp_path):
    """Interrupts a sweep after three visits; gives the program, what it wrote to stdout, and its journal."""

    def interrupt(number):
        program = Program(tmp_path)
        process = program.start(*SMALL)
        after_visits(process, 3)
        assert len(program.processes()) >= 2, "the program and a worker: they are found while they live"
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130
        assert err == "interrupted; the same command goes on from here\n"
        assert program.left_behind() == []
        assert 3 <= sum(visits_of(tmp_path / "mine").values()) < len(WHOLE_SMALL)
        return program, out, (tmp_path / "mine" / NAME).read_bytes()

    return interrupt


def test_an_interrupted_sweep_reports_what_there_is_and_goes_on_when_asked_again(interrupted):
    program, out, before = interrupted(signal.SIGINT)
    run = program.folder / "mine"
    assert "mine/report.md" in out.splitlines()
    again = program.run(*SMALL)
    assert (again.returncode, again.stderr) == (0, "")
    assert "going on with mine: " in again.stdout
    assert (run / NAME).read_bytes().startswith(before)
    assert visits_of(run) == WHOLE_SMALL
    assert load_run(run).finished


def test_an_interrupted_sweep_does_not_go_on_on_another_machine_unless_afresh(interrupted):
    program, _, before = interrupted(signal.SIGTERM)
    elsewhere = Program(program.folder, knobs={"name": "another machine"})
    refused = elsewhere.run(*SMALL)
    error, hint = refused.stderr.splitlines()
    assert refused.returncode == 3
    assert "machine.cpu: fake there, another machine here" in error
    assert "--fresh" in hint
    assert elsewhere.run(*SMALL, "--fresh").returncode == 0
    assert (program.folder / "mine" / NAME).read_bytes() == before
    assert visits_of(program.folder / "mine-2") == WHOLE_SMALL
    (header,) = load_run(program.folder / "mine-2").headers
    assert header.fingerprint.machine["cpu"] == "another machine"


def test_a_sweep_that_is_interrupted_before_its_first_visit_ends_quietly(tmp_path):
    program = Program(tmp_path)
    process = program.start(*SMALL)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert program.left_behind() == []


def test_a_killed_sweep_leaves_no_worker_behind_and_loses_no_visit(tmp_path):
    program = Program(tmp_path)
    process = program.start(*SMALL)
    after_visits(process, 1)
    assert len(program.processes()) >= 2
    process.kill()
    process.communicate()
    assert program.left_behind() == []
    assert sum(visits_of(tmp_path / "mine").values()) >= 1


def test_a_sweep_killed_at_twenty_random_moments_loses_at_most_the_visit_under_way(tmp_path):
    """The program is real; its workers are scripts, which start at once."""
    script = write_script(tmp_path, Orders(measure_s=VISIT_S))
    command = [
        *KILLED,
        *(word for side in ("hyena:fft", "flash:sdpa") for word in ("--python", f"{side}={script.path}")),
    ]
    program, drawn = Program(tmp_path), random.Random(20)
    journal = tmp_path / "mine" / NAME
    standing, told = b"", 0
    for number in range(KILLS):
        process = program.start(*command)
        if number % 3 == 0:
            told += len(after_visits(process, drawn.randint(1, MOST_VISITS_A_SESSION)))
            pause_s = drawn.uniform(0.0, 0.1)
        else:
            pause_s = drawn.uniform(0.0, STARTING_S)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=pause_s)
        process.kill()
        process.communicate()
        assert program.left_behind() == []
        found = journal.read_bytes() if journal.exists() else b""
        assert found.startswith(standing), f"kill {number}: a line that stood does not stand any more"
        standing = found[: found.rfind(b"\n") + 1]
        if standing:
            assert len(visits_of(tmp_path / "mine")) >= told, f"kill {number}: a visit that was told of is lost"

    last = program.run(*command)
    assert last.returncode == 0, last.stderr
    assert journal.read_bytes().startswith(standing)
    assert visits_of(tmp_path / "mine") == WHOLE_KILLED
    assert load_run(tmp_path / "mine").finished
    assert program.left_behind() == []
