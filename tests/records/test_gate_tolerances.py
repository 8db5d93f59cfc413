"""Tolerances and expected changes, read from YAML."""

from datetime import date

import pytest
from builders import make_point

from hyenaprof.errors import ToleranceError
from hyenaprof.model import Phase
from hyenaprof.records.tolerances import Allowance, Expected, Tolerances, load_expected, load_tolerances, matches

TODAY = date(2026, 11, 22)
POINT = make_point("hyena", 8192, phase=Phase.TRAINING, options=(("order", 3),))


@pytest.mark.parametrize(
    ("glob", "named"),
    [
        ("*", True),
        ("hyena:*", True),
        ("hyena:*/training", True),
        ("hyena:fft[order=3]/training/8192", True),
        ("*/*/8192", True),
        ("*/*/819", False),
        ("hyena:fft/training", False),
        ("hyena:fft[*]/training", True),
        ("flash:*", False),
        ("hyena:*/forward", False),
        ("hyena:*/training/8192/1", False),
        ("hyena.fft*", False),
    ],
)
def test_a_glob_names_points_by_operator_phase_and_length(glob, named):
    assert matches(glob, POINT) is named


def test_the_last_rule_that_states_a_quantity_decides_it(tmp_path):
    path = tmp_path / "tolerances.yaml"
    path.write_text("'*': {time: 4%, memory: 2%}\nhyena:*/training: 3%\n'hyena:*': {energy: 0.2, crossover: 25%}\n")
    held = load_tolerances(path)
    assert (held.time(POINT), held.memory(POINT), held.energy(POINT), held.crossover(POINT)) == (0.03, 0.02, 0.2, 0.25)
    flash = make_point("flash")
    assert (held.time(flash), held.energy(flash), held.crossover(flash)) == (0.04, 0.04, 0.1)


def test_a_tolerance_given_for_all_yields_to_rules(tmp_path):
    path = tmp_path / "tolerances.yaml"
    path.write_text("hyena:*: 3%\n")
    held = load_tolerances(path, tolerance=0.1)
    assert (held.time(POINT), held.time(make_point("flash"))) == (0.03, 0.1)
    assert Tolerances().time(make_point(device="cuda")) == 0.03
    assert Tolerances((("*", Allowance(memory=0.5)),)).time(POINT) == 0.05


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 3%", "holds no mapping"),
        ("hyena:*: fast", "hyena:*: 'fast' is not a fraction"),
        ("hyena:*: {tme: 3%}", "no quantity 'tme'"),
        ("hyena:*: 300%", "is not a fraction"),
        ("a: [", "is not valid YAML"),
        ("", "holds no mapping"),
    ],
)
def test_a_file_of_tolerances_that_is_none_is_refused_by_name(tmp_path, text, said):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(ToleranceError, match=r"t\.yaml") as error:
        load_tolerances(path)
    assert said in error.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ToleranceError, match=r"cannot read gone\.yaml"):
        load_tolerances(tmp_path / "gone.yaml")


def test_expected_changes_are_read_and_cover_their_points_up_to_their_limit(tmp_path):
    path = tmp_path / "expected.yaml"
    path.write_text("- {points: 'hyena:*/training', up_to: 10%, reason: exact filters, expires: 2026-11-22}\n")
    (entry,) = load_expected(path, today=TODAY)
    assert entry.covers(POINT, "latency", 1.09)
    assert not entry.covers(POINT, "latency", 1.11)
    assert not entry.covers(POINT, "latency", None)
    assert not entry.covers(POINT, "peak_memory", 1.09)
    assert not entry.covers(make_point("flash"), "latency", 1.09)
    unlimited = Expected(points="*", metric="outcome", reason="gone on purpose", expires=TODAY)
    assert unlimited.covers(POINT, "outcome", None)


def test_an_expired_change_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "expected.yaml"
    path.write_text(
        "- {points: a, reason: fine, expires: 2027-01-01}\n- {points: b, reason: old, expires: 2026-11-21}\n"
    )
    with pytest.raises(ToleranceError, match=r"expected.yaml entry 2 \(b: old\) expired on 2026-11-21"):
        load_expected(path, today=TODAY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("points: a", "holds no list"),
        ("- {points: a, expires: 2027-01-01}", "entry 1: reason: Field required"),
        ("- {points: a, reason: r, expires: soon}", "entry 1: expires"),
        ("- {points: a, reason: r, expires: 2027-01-01, metric: speed}", "entry 1: metric"),
        ("- {points: a, reason: r, expires: 2027-01-01, until: 3}", "entry 1: until"),
        ("- 3", "entry 1"),
    ],
)
def test_an_entry_that_is_none_is_refused_by_its_number(tmp_path, text, said):
    path = tmp_path / "expected.yaml"
    path.write_text(text)
    with pytest.raises(ToleranceError) as error:
        load_expected(path, today=TODAY)
    assert said in error.value.message
