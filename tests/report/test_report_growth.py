from __future__ import annotations

import io
import re
from dataclasses import replace

import builders
import pytest
from rich.console import Console

from hyenaprof.model import Cell, HeaderLine, Outcome, Phase
from hyenaprof.records.store import Run
from hyenaprof.report.findings import find
from hyenaprof.report.growth import growth, kernels, outlooks
from hyenaprof.report.terminal import summary

FORWARD = (Phase.FORWARD,)


def text(cell: str | Cell) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def test_exponents_and_predictions_follow_the_law_that_made_the_times() -> None:
    section = growth(find(builders.make_run(builders.make_records(phases=FORWARD, noise=0.001))))
    assert section is not None
    (table,) = section.tables
    rows = {text(row[0]): [text(cell) for cell in row] for row in table.rows}
    for name, exponent in (("hyena", 1.0), ("flash", 2.0)):
        found, low, high = (float(part) for part in re.findall(r"[\d.]+", rows[name][2]))
        assert found == pytest.approx(exponent, abs=0.01)
        assert low <= exponent <= high
        assert rows[name][3:5] == ["2048", "8192"]
        predicted = re.fullmatch(r"~([\d.]+) ms \[.+\]", rows[name][6])
        assert predicted
        assert float(predicted[1]) == pytest.approx(1e3 * builders.crossing_law(name, Phase.FORWARD, 16384), rel=0.02)
        assert not rows[name][7].startswith("~")  # an interval alone


def test_what_is_predicted_is_called_so_beside_the_numbers() -> None:
    section = growth(find(builders.make_run(builders.make_records(phases=FORWARD))))
    assert section is not None
    assert "predicted by it, not measured, and enters no crossover and no verdict" in section.tables[0].caption


def test_nothing_is_predicted_past_a_memory_limit() -> None:
    records = [
        *builders.make_records(("flash",), phases=FORWARD),
        builders.make_failure(builders.make_point("flash", 16384)),
    ]
    section = growth(find(builders.make_run(records)))
    assert section is not None
    assert [text(cell) for cell in section.tables[0].rows[0][6:]] == ["\N{EN DASH}"] * 2


def test_an_operator_that_grows_otherwise_than_its_cost_is_said_first() -> None:
    def flat(*_: object) -> float:
        return 1e-3

    section = growth(find(builders.make_run(builders.make_records(("hyena",), phases=FORWARD, law=flat))))
    assert section is not None
    (said,) = section.paragraphs
    assert said.startswith("forward: hyena does not scale like its stated cost: from 2048 to 8192 its time grows as L^")
    assert section.tables[0].rows[0][2] == Cell(text(section.tables[0].rows[0][2]), tone="warn")


def test_where_the_incumbent_leads_to_the_end_the_fit_says_what_may_come_and_calls_it_so() -> None:
    def law(operator: str, phase: Phase, length: int) -> float:
        return builders.crossing_law(operator, phase, length) * (5 if operator == "hyena" else 1)

    records = builders.make_records(phases=FORWARD, law=law, noise=0.001, within_noise=0.001)
    findings = find(builders.make_run(records))
    said = "forward: predicted, not measured: hyena overtakes flash before 16384"
    assert list(outlooks(findings)) == [said]
    section = growth(findings)
    assert section is not None
    assert section.paragraphs[-1] == f"{said}."
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary(findings.run))
    assert said in console.export_text().splitlines()


def of_two_machines() -> Run:
    """The same curves from an Example CPU and from another, twice as slow, neither of them growing as it should."""
    run = builders.make_run(builders.make_records(("hyena",), phases=FORWARD, law=lambda *_: 1e-3))
    (header,) = run.headers
    other = header.fingerprint.model_copy(update={"machine": {**header.fingerprint.machine, "cpu": "Other CPU"}})
    headers = (header, HeaderLine.model_validate({**dict(header), "fingerprint": other}))
    records = [
        replace(record, fingerprint_id=h.fingerprint.id, conditions=h.fingerprint.conditions)
        for h in headers
        for record in run.records
    ]
    return replace(run, headers=headers, records=tuple(records))


def test_growth_in_a_merged_run_names_the_machine_of_every_row_and_warning() -> None:
    section = growth(find(of_two_machines()))
    assert section is not None
    (table,) = section.tables
    assert table.header[0] == "Setting"
    assert [text(row[0]) for row in table.rows] == ["Example CPU", "Other CPU"]
    assert [said.partition("(on ")[2] for said in section.paragraphs] == ["Example CPU).", "Other CPU)."]


def test_a_crossover_that_was_measured_is_not_predicted() -> None:
    assert list(outlooks(find(builders.make_run(builders.make_records(phases=FORWARD))))) == []


def test_a_run_of_one_length_or_of_failures_has_no_growth() -> None:
    failed = builders.make_failure(builders.make_point(), Outcome.CRASHED, "it died")
    assert growth(find(builders.make_run([failed]))) is None
    assert growth(find(builders.make_run(builders.make_records(lengths=(1024,))))) is None


def test_the_crossover_moves_with_the_kernel() -> None:
    records = list(builders.make_records(phases=FORWARD, noise=0.002))
    for length in builders.LENGTHS:
        point = builders.make_point("hyena", length, implementation="other")
        records.append(
            builders.make_record(point, builders.crossing_law("hyena", Phase.FORWARD, length) / 2, noise=0.002)
        )
    section = kernels(find(builders.make_run(records)))
    assert section is not None
    (table,) = section.tables
    assert table.header == ("Phase", "Pair", "Example CPU")
    found = {row[1]: text(row[2]) for row in table.rows}
    plain, other = (float(found[f"hyena:{name} against flash"].split()[0]) for name in ("fft", "other"))
    assert plain == pytest.approx(builders.CROSSOVER, rel=0.02)
    assert other == pytest.approx(builders.CROSSOVER / 2, rel=0.02)


def test_one_implementation_of_each_on_one_device_needs_no_such_table() -> None:
    assert kernels(find(builders.make_run(builders.make_records(("hyena", "flash", "attention"))))) is None
    assert kernels(find(builders.make_run([]))) is None
