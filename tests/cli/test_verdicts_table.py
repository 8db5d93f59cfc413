from __future__ import annotations

import pytest
from builders import make_point
from rich.console import Console

from hyenaprof.analysis.gate import Gate, Verdict
from hyenaprof.analysis.looks import Ruling
from hyenaprof.cli.verdicts import noise_of, status_of, table_of
from hyenaprof.errors import NothingMeasuredError

RULED = {
    Ruling.OK: 1.0,
    Ruling.IMPROVED: 0.8,
    Ruling.INCONCLUSIVE: 1.04,
    Ruling.REGRESSED: 1.2,
    Ruling.MISSING: None,
    Ruling.NOT_JUDGED: None,
}


def verdict(ruling, length=1024, metric="latency", **fields):
    told = {"ratio": RULED[ruling], "rounds": 24, "detectable": 0.06, **fields}
    return Verdict(make_point(length=length), metric, ruling, **told)


def gate(*rulings):
    return Gate(tuple(verdict(ruling, 64 * (number + 1)) for number, ruling in enumerate(rulings)))


@pytest.mark.parametrize(
    ("rulings", "status", "strict_status"),
    [
        ((Ruling.OK,), 0, 0),
        ((Ruling.IMPROVED, Ruling.NOT_JUDGED), 0, 0),
        ((Ruling.REGRESSED, Ruling.OK), 1, 1),
        ((Ruling.MISSING, Ruling.OK), 1, 1),
        ((Ruling.MISSING,), 1, 1),
        ((Ruling.INCONCLUSIVE, *4 * (Ruling.OK,)), 0, 4),
        ((Ruling.INCONCLUSIVE, *3 * (Ruling.OK,)), 4, 4),
        ((Ruling.REGRESSED, *4 * (Ruling.INCONCLUSIVE,)), 1, 1),
    ],
)
def test_the_exit_status_says_red_before_noisy_and_noisy_before_green(rulings, status, strict_status):
    assert status_of(gate(*rulings), max_inconclusive=0.2, strict=False) == status
    assert status_of(gate(*rulings), max_inconclusive=0.2, strict=True) == strict_status


def test_where_nothing_ran_on_both_sides_there_is_no_status():
    with pytest.raises(NothingMeasuredError, match="no point could be measured on both sides"):
        status_of(Gate((verdict(Ruling.NOT_JUDGED, reason="unsupported"),)), max_inconclusive=0.2, strict=False)


def test_how_noisy_it_was_is_told_by_what_would_be_flagged():
    text = noise_of(Gate((verdict(Ruling.INCONCLUSIVE, detectable=0.12), verdict(Ruling.OK, 64, detectable=0.01))))
    assert "50 % of the points" in text
    assert "a slowdown of 12 % would be flagged" in text


@pytest.mark.parametrize("width", [80, 200])
def test_every_row_of_the_table_is_one_line_and_medians_stand_where_there_is_room(width, capsys):
    held = Gate(
        (
            verdict(Ruling.REGRESSED, 8192, low=1.1, high=1.3, base=1e-3, candidate=1.2e-3),
            verdict(Ruling.OK, 64, low=0.98, high=1.02, base=2e-3, candidate=2e-3),
            verdict(Ruling.OK, 64, metric="peak_memory"),
            verdict(Ruling.NOT_JUDGED, 128),
        )
    )
    Console(width=width).print(table_of(held, width=width))
    header, worst, ok, *rest = capsys.readouterr().out.splitlines()
    assert worst.split()[:3] == ["hyena:fft", "forward", "L=8192"]
    assert "1.100x .. 1.300x" in worst
    assert " ok " in ok
    assert ("1.2 ms" in worst) == ("now" in header) == (width == 200)
    assert len(rest) == 1, "memory that is as it was, and what was not judged, take no row"
