"""What the method says of how a run was really measured."""

from __future__ import annotations

from dataclasses import replace

import builders

from hyenaprof.model import FactValue
from hyenaprof.records.store import Run
from hyenaprof.report.findings import find
from hyenaprof.report.method import method


def measured_under(**protocol: FactValue) -> Run:
    """A run whose fingerprint's protocol says that."""
    run = builders.make_run(builders.make_records(lengths=(1024,), rounds=2))
    fingerprint = builders.make_fingerprint()
    told = fingerprint.model_copy(update={"protocol": {**fingerprint.protocol, **protocol}})
    return replace(run, headers=(run.headers[0].model_copy(update={"fingerprint": told}),))


def row_of(run: Run, name: str) -> str | None:
    """A row of the method's table, None where there is none."""
    rows = {str(row[0]): str(row[1]) for row in method(find(run)).tables[0].rows}
    return rows.get(name)


def test_the_clock_is_named_and_said_in_words() -> None:
    one_thread = row_of(measured_under(clock="process_time"), "Clock")
    assert (
        one_thread == "process_time: CPU seconds of the process, since it has one thread; what others took is left out"
    )
    assert (row_of(measured_under(clock="perf_counter"), "Clock") or "").startswith("perf_counter: the wall clock")
    assert row_of(measured_under(clock="sundial"), "Clock") == "sundial"


def test_a_journal_that_names_no_clock_has_no_row_of_it() -> None:
    assert row_of(measured_under(), "Clock") is None


def test_energy_is_said_to_be_measured_or_not_measurable() -> None:
    run = builders.make_run(builders.make_records(lengths=(1024,), rounds=2))
    assert (row_of(run, "Energy") or "").startswith("not measurable: the device has no energy counter")
    counted = builders.make_run([builders.with_energy(record, 0.5) for record in run.records])
    assert (row_of(counted, "Energy") or "").startswith("joules of one call by the device's counter, ")


def test_it_says_beyond_which_factor_a_rate_is_not_believed() -> None:
    run = builders.make_run(builders.make_records(lengths=(1024,), rounds=2))
    assert row_of(run, "Implausible") == "a rate beyond 1.1 times the measured ceiling"
    disturbed = run.ceilings[0].model_copy(update={"warnings": ("contended",)})
    said = row_of(replace(run, ceilings=(*run.ceilings, disturbed)), "Implausible") or ""
    assert said.startswith("a rate beyond 2.2 times the measured ceiling: twice ")
    assert (row_of(replace(run, ceilings=()), "Implausible") or "").startswith("nothing can be called so")
