from __future__ import annotations

import io
from dataclasses import replace

import builders
import pytest
from rich.console import Console

from hyenaprof.model import Outcome, Phase
from hyenaprof.records.store import Run
from hyenaprof.report.terminal import UNSTABLE, summary


def printed(run: Run, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(summary(run))
    return out.getvalue()


def three_sided() -> Run:
    forward = (Phase.FORWARD,)
    return builders.make_run(
        [
            *builders.make_records(phases=forward, noise=0.0, within_noise=0.0),
            *builders.make_records(("attention",), (1024, 2048), forward, noise=0.0, within_noise=0.0),
            builders.make_failure(builders.make_point("attention", 4096)),
            builders.make_failure(builders.make_point("attention", 8192)),
        ]
    )


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_of_a_table_is_cut_or_wrapped(width: int) -> None:
    text = printed(three_sided(), width)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert sum(line.strip().startswith(("1k", "2k", "4k", "8k")) for line in text.splitlines()) == 4


def test_at_80_columns_a_row_is_an_operator() -> None:
    lines = printed(three_sided(), 80).splitlines()
    row = next(line for line in lines if line.startswith("1k  hyena"))
    assert row.split() == ["1k", "hyena", "707", "us", "[707,", "707]", "6", "0.354x", "[0.354,", "0.354]", "24", "MiB"]


def test_at_120_columns_two_operators_stand_side_by_side() -> None:
    run = builders.make_run(builders.make_records(phases=(Phase.FORWARD,), noise=0.0, within_noise=0.0))
    lines = printed(run, 120).splitlines()
    header = next(line for line in lines if "speed-up" in line)
    assert header.split() == ["L", "hyena", "flash", "speed-up", "memory", "hyena", "memory", "flash"]
    row = next(line for line in lines if line.startswith("8k"))
    assert "5.66 ms [5.66, 5.66]" in row
    assert "2.83x [2.83, 2.83]" in row


def test_one_sentence_a_phase_follows_the_tables() -> None:
    text = printed(builders.make_run(), 120)
    for phase in ("forward", "backward", "training"):
        assert text.index(f"{phase}: hyena overtakes flash between 2048 and 4096") > text.rindex("speed-up")


def test_failures_are_told_with_lengths_and_reason() -> None:
    text = printed(three_sided(), 120)
    assert "attention forward L=4k, 8k: out of memory, needs 48 GiB, 14 GiB available" in text


def test_warnings_are_told_with_the_points_they_qualify() -> None:
    record = builders.with_warnings(builders.make_record(builders.make_point()), "contended")
    text = printed(builders.make_run([record]), 120)
    assert "contended (hyena forward L=1k)" in text


def test_warnings_of_one_kind_are_one_line_with_an_example() -> None:
    records = [
        builders.with_warnings(builders.make_record(builders.make_point(length=n)), f"contended: {n} of 2 CPUs")
        for n in (512, 1024, 2048, 4096)
    ]
    text = printed(builders.make_run(records), 200)
    assert (
        "contended (hyena forward L=512; hyena forward L=1k; hyena forward L=2k and 1 more), such as: 512 of 2" in text
    )
    assert text.count("contended") == 1


def test_a_long_line_is_indented_below_itself() -> None:
    failed = builders.make_failure(builders.make_point(), Outcome.CRASHED, "word " * 40)
    lines = [line for line in printed(builders.make_run([failed]), 80).splitlines() if "word" in line]
    assert len(lines) > 2
    assert all(line.startswith("   word") for line in lines[1:])


def test_an_unstable_point_is_starred_and_the_star_explained() -> None:
    few = builders.make_run([builders.make_record(builders.make_point(), 1e-3, rounds=3)])
    many = builders.make_run([builders.make_record(builders.make_point(), 1e-3, rounds=6)])
    assert "1 ms [1, 1]*" in printed(few, 120)
    assert UNSTABLE in printed(few, 120)
    assert UNSTABLE not in printed(many, 120)


def test_markup_in_a_journal_is_printed_as_it_is() -> None:
    failed = builders.make_failure(builders.make_point(), Outcome.CRASHED, "[red]boom[/red] [link=x]y[/link]")
    text = printed(replace(builders.make_run([failed]), warnings=("[bold]w[/bold]",)), 120)
    assert "[red]boom[/red] [link=x]y[/link]" in text
    assert "[bold]w[/bold]" in text


def test_an_empty_run_says_that_there_is_nothing_to_compare() -> None:
    assert "No two operators were measured" in printed(builders.make_run([]), 80)


@pytest.mark.parametrize("width", [80, 160])
def test_energy_stands_beside_memory_where_it_was_measured(width: int) -> None:
    plain = builders.make_run(builders.make_records(phases=(Phase.FORWARD,), noise=0.0, within_noise=0.0))
    counted = replace(plain, records=tuple(builders.with_energy(record, 0.25) for record in plain.records))
    assert "energy" not in printed(plain, width)
    lines = printed(counted, width).splitlines()
    assert any(line.split()[:1] == ["L"] and "energy" in line for line in lines)
    assert sum(line.count("250 mJ") for line in lines) == 8
    assert any(line.startswith("forward, energy: hyena and flash are practically equal") for line in lines)
