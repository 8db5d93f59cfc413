from __future__ import annotations

import json
import math

import pytest
from builders import make_fingerprint
from pydantic import ValidationError

from hyenaprof.model import (
    LINES,
    CheckEntry,
    CheckLine,
    DType,
    Phase,
    Point,
    Scope,
    Shape,
    SkipLine,
    Visit,
    label_of,
    stable_hash,
)

POINT = Point(
    operator="hyena",
    implementation="fft",
    scope=Scope.LAYER,
    phase=Phase.TRAINING,
    shape=Shape(batch=1, length=8192, width=768, heads=12),
    dtype=DType.FLOAT32,
    device="cpu",
    options={"window": False, "order": 3},
)


def changed(**fields: object) -> Point:
    return Point.model_validate({**dict(POINT), **fields})


def check(*errors: float | None) -> CheckLine:
    entries = tuple(CheckEntry(quantity=f"q{i}", error=error, tolerance=1e-3) for i, error in enumerate(errors))
    return CheckLine(point=POINT, method="float64 definition", entries=entries, fingerprint_id="f" * 12)


def visit(**fields: object) -> Visit:
    return Visit.model_validate(
        {
            "point": POINT,
            "round": 2,
            "order": 0,
            "outcome": "ok",
            "started_at": 0.0,
            "fingerprint_id": "f" * 12,
            **fields,
        }
    )


def test_a_points_id_is_the_same_in_every_version():
    # Pinned: journals on disk are keyed by it, so a change of this value orphans every run there is.
    assert POINT.id == "e4d01106912e"


@pytest.mark.parametrize(
    "fields",
    [
        {"operator": "h3"},
        {"implementation": "direct"},
        {"scope": Scope.CORE},
        {"phase": Phase.FORWARD},
        {"shape": Shape(batch=2, length=8192, width=768, heads=12)},
        {"shape": Shape(batch=1, length=4096, width=768, heads=12)},
        {"shape": Shape(batch=1, length=8192, width=768, heads=6)},
        {"dtype": DType.BFLOAT16},
        {"device": "cuda"},
        {"seed": 1},
        {"options": {"window": False, "order": 2}},
    ],
)
def test_any_changed_field_is_another_point(fields):
    assert changed(**fields).id != POINT.id
    assert changed(**fields) != POINT


def test_options_are_equal_in_any_order():
    assert changed(options={"order": 3, "window": False}) == POINT
    assert changed(options=(("order", 3), ("window", False))).id == POINT.id
    assert POINT.options == (("order", 3), ("window", False))


def test_options_stand_as_an_object_on_disk_and_come_back_hashable():
    assert json.loads(POINT.model_dump_json())["options"] == {"order": 3, "window": False}
    assert Point.model_validate_json(POINT.model_dump_json()) == POINT
    assert hash(Point.model_validate_json(POINT.model_dump_json())) == hash(POINT)


def test_a_label_names_the_options_that_were_set():
    assert POINT.label == "hyena:fft[order=3,window=False]"
    assert str(POINT) == "hyena:fft[order=3,window=False] training L=8192"
    assert label_of("flash", "sdpa", ()) == "flash:sdpa"


def test_another_length_or_phase_changes_nothing_else():
    assert POINT.at(16384) == changed(shape=Shape(batch=1, length=16384, width=768, heads=12))
    assert POINT.reading(Phase.BACKWARD) == changed(phase=Phase.BACKWARD)


def test_a_point_whose_id_was_read_can_still_be_changed():
    point = changed(seed=3)
    assert point.id != POINT.id
    assert point.at(1024).at(8192) == point
    assert Point.model_validate({**dict(point), "seed": 0}) == POINT


def test_a_curve_is_a_point_without_length_and_seed():
    assert changed(seed=7).at(1024).curve == POINT.curve
    assert changed(dtype=DType.FLOAT16).curve != POINT.curve
    assert POINT.curve.setting == (Scope.LAYER, Phase.TRAINING, 1, 768, 12, DType.FLOAT32, "cpu")


def test_backward_and_training_are_the_phases_with_gradients():
    assert [phase for phase in Phase if phase.has_gradients] == [Phase.BACKWARD, Phase.TRAINING]


@pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_a_dtype_knows_its_size(dtype, size):
    assert DType(dtype).itemsize_bytes == size


@pytest.mark.parametrize(
    "sizes",
    [
        {"batch": 0, "length": 8, "width": 8, "heads": 1},
        {"batch": 1, "length": 0, "width": 8, "heads": 1},
        {"batch": 1, "length": 2**20 + 1, "width": 8, "heads": 1},
        {"batch": 1, "length": 8, "width": 8, "heads": 3},
    ],
)
def test_a_shape_outside_its_limits_is_refused(sizes):
    with pytest.raises(ValidationError):
        Shape(**sizes)


def test_what_is_on_disk_is_frozen_and_knows_no_other_keys():
    with pytest.raises(ValidationError, match="frozen"):
        POINT.seed = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        changed(colour="red")


def test_infinities_are_refused():
    with pytest.raises(ValidationError):
        visit(latency_s=(math.inf,))


def test_a_hash_does_not_depend_on_the_order_of_keys():
    assert stable_hash({"a": 1, "b": [1.5, "x"]}) == stable_hash({"b": [1.5, "x"], "a": 1})
    assert stable_hash({"a": 1}, digits=8) == "015abd7f"


def test_a_fingerprint_changes_its_id_with_any_part():
    assert make_fingerprint().id == make_fingerprint().id
    assert make_fingerprint().id != make_fingerprint(torch="2.14.0").id


def test_dropped_samples_stay_in_the_visit_and_out_of_the_clean_ones():
    noisy = visit(latency_s=(1.0, 9.0, 2.0), dropped=(1,))
    assert noisy.latency_s == (1.0, 9.0, 2.0)
    assert noisy.clean_s == (1.0, 2.0)


def test_a_visit_is_keyed_by_machine_point_and_round():
    assert visit().key == ("f" * 12, POINT.id, 2)


def test_a_check_passes_only_if_every_entry_does():
    assert check(1e-4, 1e-3).passed
    assert not check(1e-4, 2e-3).passed


def test_a_result_that_was_not_finite_fails_and_is_the_worst():
    assert not check(1e-4, None).passed
    assert check(1.0, None).worst.quantity == "q1"


def test_an_error_where_none_is_allowed_is_the_worst_and_its_absence_the_best():
    exact = CheckEntry(quantity="causality", error=0.0, tolerance=0.0)
    leaking = CheckEntry(quantity="causality", error=1e-9, tolerance=0.0)
    loose = CheckEntry(quantity="output", error=1e-6, tolerance=1e-3)
    line = check(1e-4)
    assert line.model_copy(update={"entries": (exact, loose)}).worst == loose
    assert line.model_copy(update={"entries": (loose, leaking)}).worst == leaking


@pytest.mark.parametrize(
    "line", [visit(), check(1e-4), SkipLine(point=POINT, outcome="oom", reason="needs 12 GiB", fingerprint_id="f" * 12)]
)
def test_a_journal_line_is_told_by_its_kind(line):
    assert LINES.validate_json(line.model_dump_json()) == line


def test_a_line_of_unknown_kind_is_refused():
    with pytest.raises(ValidationError):
        LINES.validate_json('{"kind": "gossip"}')
