"""What the answer says of energy beside time."""

from __future__ import annotations

import builders

from hyenaprof.model import Phase
from hyenaprof.records.store import Run
from hyenaprof.report.answer import MAP_PLACES, answer
from hyenaprof.report.findings import find


def counted() -> Run:
    """A forward run in which hyena takes 50 W and flash 100 W: by energy they cross at half the length."""
    power_w = {"hyena": 50.0, "flash": 100.0}
    lengths = (512, 1024, 2048, 4096, 8192)
    records = builders.make_records(lengths=lengths, phases=(Phase.FORWARD,), noise=0.0, within_noise=0.0)
    return builders.make_run(
        builders.with_energy(
            record,
            power_w[record.point.operator]
            * builders.crossing_law(record.point.operator, Phase.FORWARD, record.point.shape.length),
        )
        for record in records
    )


def test_energy_has_its_own_crossover_where_it_was_measured() -> None:
    section = answer(find(counted()))
    time, energy = section.paragraphs
    assert time.startswith("forward: hyena overtakes flash between 2048 and 4096")
    assert energy.startswith("forward, energy: hyena undercuts flash between 1024 and 2048")
    assert [table.caption.startswith("Energy of one call. ") for table in section.tables] == [False, True]


def test_nothing_is_said_of_energy_where_none_was_measured() -> None:
    section = answer(find(builders.make_run(builders.make_records(phases=(Phase.FORWARD,), rounds=3))))
    assert len(section.paragraphs) == 1
    assert len(section.tables) == 1


def test_settings_that_get_no_map_are_counted() -> None:
    def sections(settings: int) -> tuple[int, str]:
        records = [
            record
            for batch in range(1, settings + 1)
            for record in builders.make_records(lengths=(512, 1024), phases=(Phase.FORWARD,), rounds=1, batch=batch)
        ]
        section = answer(find(builders.make_run(records)))
        return len(section.figures), section.paragraphs[-1]

    drawn, said = sections(MAP_PLACES + 1)
    assert (drawn, said) == (MAP_PLACES, "1 of 7 settings have no map here; the tables have all.")
    drawn, said = sections(MAP_PLACES)
    assert drawn == MAP_PLACES
    assert "no map" not in said
