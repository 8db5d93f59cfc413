"""What `hyenaprof verify` prints of checks whose outcome is known, and the status it ends with."""

from __future__ import annotations

import json

import pytest
from builders import make_point
from commands import run

from hyenaprof.model import CheckEntry, CheckLine, Outcome
from hyenaprof.operators import OPERATORS
from hyenaprof.running import verification
from hyenaprof.running.verification import Verified

POINT = make_point("hyena", 63, width=32, heads=1, batch=3)
ABSENT = make_point("hyena", 63, implementation="subq", width=32, heads=1)


def checked(point=POINT, outcome=Outcome.OK, reason=None, *, output=2e-7, parameters=70):
    errors = {"output": output, "gradient of x": 1e-5, "gradient of decay": 6e-5, "causality at 31": 0.0}
    entries = tuple(CheckEntry(quantity=name, error=error, tolerance=1e-4) for name, error in errors.items())
    check = CheckLine(point=point, method="float64 definition", entries=entries, fingerprint_id="f")
    return Verified(point, outcome, reason, check, parameters)


def absent(point=ABSENT):
    return Verified(point, Outcome.UNSUPPORTED, "needs CUDA")


@pytest.fixture
def verify(capsys, monkeypatch):
    """Runs the command on what verification is said to have found; gives how it ended and the scenario that was asked."""

    def go(*results, arguments=("--ops", "hyena")):
        asked = []
        monkeypatch.setattr(
            verification, "verification", lambda page, timeout_s: asked.append((page, timeout_s)) or iter(results)
        )
        return run(capsys, "verify", *arguments), asked

    return go


def test_a_row_shows_each_error_as_a_share_of_its_tolerance_and_the_worst_gradient_by_name(verify):
    ended, _ = verify(checked())
    head, titles, row, counts = ended.out.splitlines()
    assert head == "errors as shares of what is tolerated: layer scope, float32, D=32 H=1, on cpu"
    assert " ".join(titles.split()) == "implementation L B output causality parameters worst gradient"
    assert " ".join(row.split()) == "hyena:fft 63 3 0.2 % 0 % 70 60 % decay"
    assert counts == "1 green, 0 red; not supported here: 0 implementations"
    assert ended.status == 0


def test_verbose_names_every_quantity_with_error_and_tolerance(verify):
    ended, _ = verify(checked(), arguments=("--ops", "hyena", "-v"))
    assert "    gradient of x: error 1.0e-05, tolerance 1.0e-04" in ended.out.splitlines()
    assert "    causality at 31: error 0.0e+00, tolerance 1.0e-04" in ended.out.splitlines()


@pytest.mark.parametrize(
    "red",
    [
        checked(outcome=Outcome.INCORRECT, reason="output: not finite", output=None),
        Verified(POINT, Outcome.CRASHED, "the worker ended with SIGSEGV"),
        Verified(POINT, Outcome.TIMEOUT, "no answer within 300 s"),
        Verified(POINT, Outcome.OOM, "out of memory"),
    ],
)
def test_one_red_row_is_status_1_and_says_why(verify, red):
    ended, _ = verify(checked(), red, absent())
    assert ended.status == 1
    assert f"{red.outcome}: {red.reason}" in ended.out
    assert ended.out.splitlines()[-1] == "1 green, 1 red; not supported here: 1 implementations"


def test_what_cannot_run_here_is_said_once_and_is_not_red(verify):
    ended, _ = verify(checked(), absent(), absent(ABSENT.at(127)))
    assert ended.status == 0
    assert [line.split()[0] for line in ended.out.splitlines() if "needs CUDA" in line] == ["hyena:subq"]


def test_where_nothing_runs_here_the_status_is_3(verify):
    ended, _ = verify(absent())
    assert ended.status == 3
    assert ended.said() == ("nothing could be verified", "hyena:subq: needs CUDA")


def test_parameters_that_grow_with_the_length_are_named(verify):
    ended, _ = verify(checked(), checked(POINT.at(1000), parameters=1000))
    assert "parameters of hyena with L: 70 at 63, 1000 at 1000" in ended.out


def test_json_is_one_object_with_every_entry_and_the_table_goes_to_stderr(verify):
    ended, _ = verify(checked(), absent(), absent(ABSENT.at(127)), arguments=("--ops", "hyena", "--json"))
    first, *others = json.loads(ended.out)["checks"]
    assert (first["implementation"], first["shape"]["length"], first["outcome"]) == ("fft", 63, "ok")
    assert first["entries"][1] == {"quantity": "gradient of x", "error": 1e-5, "tolerance": 1e-4}
    assert (first["parameters"], first["method"]) == (70, "float64 definition")
    assert [(other["reason"], other["entries"]) for other in others] == [("needs CUDA", [])] * 2
    assert "worst gradient" in ended.err


def test_all_is_every_operator_of_the_table_and_the_flags_reach_the_scenario(verify):
    flags = ("--length", "5,127", "--batch", "2", "--width", "16,64", "--dtype", "float64", "--timeout", "9s")
    _, asked = verify(checked(), arguments=("--ops", "all", *flags))
    ((page, timeout_s),) = asked
    assert set(OPERATORS) <= set(page.operators)
    assert (page.lengths, page.batch, page.width, page.dtype) == ((5, 127), (2,), (16, 64), ("float64",))
    assert (timeout_s, page.phases) == (9.0, ("forward",))


def test_the_defaults_are_lengths_that_find_what_is_assumed_whole(verify):
    _, asked = verify(checked())
    page, _ = asked[0]
    assert (page.lengths, page.batch, page.width) == ((1, 63, 128, 1000), (1, 3), (32,))
