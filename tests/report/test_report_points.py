from __future__ import annotations

import builders
import pytest

from hyenaprof.model import Outcome, Phase, Section
from hyenaprof.report.findings import find
from hyenaprof.report.points import points, quantise, strip_of
from hyenaprof.units import UNKNOWN


def section_of(*records: object) -> Section:
    return points(find(builders.make_run(records)))  # type: ignore[arg-type] -- records, made by the caller


def cells_of(section: Section, row: int = 0) -> dict[str, str]:
    return {
        name: cell if isinstance(cell, str) else cell.text
        for name, cell in zip(section.tables[0].header, section.tables[0].rows[row], strict=True)
    }


def test_a_row_holds_known_numbers() -> None:
    cells = cells_of(section_of(builders.make_record(builders.make_point("hyena", 4096), 2e-3, rounds=6)))
    assert cells["L"] == "4k"
    assert cells["Median [95 %]"] == "2 ms [2, 2]"
    assert cells["Visits"] == "6"
    assert cells["Work"] == "4.1 GFLOP"
    assert cells["Rate"] == "2.05 TFLOP/s"
    assert cells["Work (paper)"] == "3.69 GFLOP"
    assert cells["Peak memory"] == "96 MiB"
    assert cells["Notes"] == ""


def test_energy_is_a_column_only_where_any_was_measured() -> None:
    measured, unmeasured = (builders.make_record(builders.make_point(name), rounds=3) for name in ("hyena", "flash"))
    assert "Energy" not in section_of(measured, unmeasured).tables[0].header
    section = section_of(builders.with_energy(measured, 0.2, 0.4, 0.3), unmeasured)
    assert [cells_of(section, row)["Energy"] for row in (0, 1)] == ["300 mJ", UNKNOWN]


def test_a_failed_row_has_dashes_and_never_a_zero() -> None:
    cells = cells_of(section_of(builders.make_failure(builders.make_point("flash", 4096), Outcome.TIMEOUT, "60 s")))
    assert cells["Outcome"] == "timeout"
    assert {cells[name] for name in ("Median [95 %]", "Visits", "Half-width", "Rate", "Peak memory")} == {"–"}  # noqa: RUF001 -- the sign for an unknown number
    assert cells["Notes"] == "60 s"


def test_fewer_than_five_visits_are_noted_as_unstable() -> None:
    section = section_of(builders.make_record(builders.make_point(), rounds=4))
    assert cells_of(section)["Notes"] == "unstable"
    assert section.paragraphs[0].startswith("1 points, 4 visits: 1 ok. 1 are unstable")


def test_every_visit_s_warning_stands_once_in_the_notes() -> None:
    record = builders.with_warnings(builders.make_record(builders.make_point(), rounds=6), "contended", "throttled")
    assert cells_of(section_of(record))["Notes"] == "contended; throttled"


def test_numbers_sort_by_their_value_and_unknown_ones_have_none() -> None:
    table = section_of(
        builders.make_record(builders.make_point("hyena", 1024), 1.5e-3),
        builders.make_failure(builders.make_point("flash", 1024)),
    ).tables[0]
    column = table.header.index("Median [95 %]")
    sorts = [row[column].sort for row in table.rows if not isinstance(row[column], str)]
    assert sorts == [pytest.approx(1.5e-3), None]


def test_all_points_of_a_run_are_rows() -> None:
    records = builders.make_records(phases=(Phase.FORWARD, Phase.TRAINING), rounds=1)
    assert len(section_of(*records).tables[0].rows) == len(records) == 16


def test_quantise_is_logarithmic_from_0_to_63() -> None:
    assert quantise([1.0, 10.0, 100.0]) == (0, 32, 63)


def test_quantise_of_equal_samples_is_empty() -> None:
    assert quantise([2.0, 2.0]) == ()


def test_a_strip_holds_at_most_32_samples_in_order() -> None:
    point = builders.make_point()
    record = builders.make_record(point, rounds=1)
    rising = builders.make_visit(point, [1e-3 * 1.01**n for n in range(100)])
    strip = strip_of(type(record)(record.fingerprint_id, point, Outcome.OK, None, (rising,)))
    assert len(strip) == 25
    assert list(strip) == sorted(strip)
    assert (strip[0], strip[-1]) == (0, 63)


def test_warnings_of_one_kind_are_told_once_with_their_number() -> None:
    told = tuple(f"contended: {share} of 2 CPUs" for share in (0.9, 1.1, 1.3))
    record = builders.with_warnings(builders.make_record(builders.make_point(), rounds=6), *told, "throttled")
    notes = cells_of(section_of(record))["Notes"]
    assert notes == "contended: 0.9 of 2 CPUs (and 2 more like it); throttled"
