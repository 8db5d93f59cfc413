from __future__ import annotations

import io

import pytest
from builders import make_visit
from rich.console import Console
from sweeps import make_iteration

from hyenaprof.model import Outcome, Phase
from hyenaprof.running.progress import LiveDisplay, PlainDisplay, display_for, medians_of

BOTH = make_iteration("hyena", 8192, Phase.BACKWARD, Phase.TRAINING)
VISITS = tuple(
    make_visit(point, (latency_s, latency_s, 9.0), round=1, dropped=(2,))
    for point, latency_s in zip(BOTH.points, (12.3e-3, 40.1e-3), strict=True)
)


@pytest.fixture
def written():
    """A console that is no terminal, and what was written to it."""
    stream = io.StringIO()
    return Console(file=stream, width=200), stream


@pytest.fixture
def terminal():
    """A console that is a terminal, and what was drawn on it."""
    stream = io.StringIO()
    return Console(file=stream, width=200, force_terminal=True), stream


def test_a_visits_medians_leave_dropped_samples_out():
    assert medians_of(VISITS) == "backward 12.3 ms, training 40.1 ms"


def test_a_visit_is_one_plain_line_with_prediction_and_time_left(written):
    console, stream = written
    display = PlainDisplay(console)
    display.clock(252.0, 31.0)
    display.begin_visit(BOTH, 1, 3.2)
    display.end_visit(BOTH, VISITS, 3.0)
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(
        "round 2  hyena:fft L=8192: backward 12.3 ms, training 40.1 ms"
        "  (3.0 s, predicted 3.2 s; 4 m 12 s left, planned 31 s)"
    )
    assert line.startswith("[")


def test_a_visit_that_takes_long_is_announced(written):
    console, stream = written
    display = PlainDisplay(console)
    display.begin_visit(BOTH, 0, 9.0)
    assert stream.getvalue() == ""
    display.begin_visit(BOTH, 0, 75.0)
    assert "round 1  hyena:fft backward+training L=8192: about 1 m 15 s" in stream.getvalue()


def test_notes_warnings_and_failures_are_plain_lines(written):
    console, stream = written
    display = PlainDisplay(console)
    display.note("verifying [hyena] against its definition")
    display.warn("contended")
    display.failed(BOTH, Outcome.CRASHED, "SIGSEGV in [kernel]")
    display.close()
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        "verifying [hyena] against its definition",
        "warning: contended",
        "hyena:fft backward+training L=8192: crashed: SIGSEGV in [kernel]",
    ]


def test_a_plain_line_is_never_wrapped(written):
    _, stream = written
    PlainDisplay(Console(file=stream, width=20)).note("a reason that is longer than the terminal is wide")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_shows_visits_last_median_and_time_left(terminal):
    console, stream = terminal
    display = LiveDisplay(console)
    display.clock(252.0, 31.0)
    display.begin_visit(BOTH, 1, 12.0)
    display._live.refresh()
    assert "backward+training L=8192 round 2 ~12 s" in stream.getvalue()
    display.end_visit(BOTH, VISITS, 3.0)
    display.end_visit(BOTH, VISITS, 3.0)
    display.close()
    last = stream.getvalue().rpartition("operator")[2]
    assert "L=8192 backward 12.3 ms, training 40.1 ms" in last
    assert "4 m 12 s of the budget left, about 31 s of it planned" in last
    assert " 2 " in last


def test_a_terminal_keeps_notes_above_the_table_and_gets_its_cursor_back(terminal):
    console, stream = terminal
    display = LiveDisplay(console)
    display.note("going on")
    display.warn("contended")
    display.begin_visit(BOTH, 0, 1.0)
    display.failed(BOTH, Outcome.OOM, "full")
    display.close()
    text = stream.getvalue()
    for said in ("going on", "warning: contended", "hyena:fft backward+training L=8192: oom: full"):
        assert said in text
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert text.count(hidden) == text.count(shown) == 1
    assert text.index(hidden) < text.index(shown)


def test_plain_lines_where_stdout_is_no_terminal(written, terminal):
    assert isinstance(display_for(written[0]), PlainDisplay)
    live = display_for(terminal[0])
    assert isinstance(live, LiveDisplay)
    live.close()
