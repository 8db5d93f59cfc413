"""The table of crossovers by implementation and device."""

import pytest
from builders import PHASE_FACTOR, crossing_law, make_records
from simulator import record_of

from hyenaprof.analysis.crossover import find_all
from hyenaprof.analysis.sensitivity import in_short, sensitivity
from hyenaprof.model import Phase

LENGTHS = tuple(1024 * 2**k for k in range(6))


def machine(speed_up, *, operators=("hyena", "flash"), noise=0.002):
    def law(operator, phase, length):
        return crossing_law(operator, phase, length) / (speed_up if operator == "hyena" else 1.0)

    return make_records(operators, LENGTHS, (Phase.FORWARD,), law=law, noise=noise)


def test_one_row_a_pair_one_cell_a_device():
    rows = sensitivity({"slow": machine(0.5), "fast": machine(2.0, operators=("hyena", "flash", "attention"))})
    (flash,) = [row for row in rows if row.incumbent.operator == "flash" and row.challenger.operator == "hyena"]
    slow, fast = (flash.found[name].flips[0].length for name in ("slow", "fast"))
    assert slow == pytest.approx(2 * 2896, rel=0.02)
    assert fast == pytest.approx(2896 / 2, rel=0.02)
    assert flash.spread == pytest.approx(4.0, rel=0.03)
    other = next(row for row in rows if row.incumbent.operator == "attention" and row.challenger.operator == "hyena")
    assert other.cells(("slow", "fast")) == ("\N{EN DASH}", "< 1024")
    assert other.spread is None


def test_resolved_cell_is_length_with_interval():
    (found,) = find_all(machine(1.0, noise=0.01))
    flip = found.flips[0]
    assert in_short(found) == f"{flip.length:.0f} [{flip.low:.0f}, {flip.high:.0f}]"


@pytest.mark.parametrize(("speed_up", "cell"), [(1e-3, "> 32768"), (1e3, "< 1024")])
def test_leader_throughout_bounds_the_crossover(speed_up, cell):
    (found,) = find_all(machine(speed_up))
    assert in_short(found) == cell


def test_equal_sides_are_an_equals_sign():
    def law(operator, phase, length):
        return PHASE_FACTOR[phase] * 1e-6 * length * (1.004 if operator == "flash" else 1.0)

    (found,) = find_all(make_records(("hyena", "flash"), LENGTHS, (Phase.FORWARD,), law=law, noise=0.001))
    assert in_short(found) == "="


def test_unmeasured_energy_is_a_dash():
    (found,) = find_all(machine(1.0), metric="energy")
    assert in_short(found) == "\N{EN DASH}"


def test_a_lead_lost_again_is_marked():
    def arch(operator, _, length):
        return 1e-6 * length * (1 + 0.6 * (length in {4096, 8192}) - 0.2 if operator == "flash" else 1.0)

    records = [
        record_of(r.point, r.visits[:1])
        for r in make_records(("hyena", "flash"), LENGTHS, (Phase.FORWARD,), law=arch, noise=0.0, within_noise=0.0)
    ]
    (found,) = find_all(records)
    assert ", back at " in in_short(found)
