"""A baseline's file: what is kept, in which order, and what is refused."""

import json
from dataclasses import replace

import pytest
from builders import (
    STARTED_AT,
    make_failure,
    make_fingerprint,
    make_point,
    make_record,
    make_records,
    make_run,
    with_energy,
)

from hyenaprof.errors import BaselineError, FingerprintError
from hyenaprof.model import HeaderLine, Phase
from hyenaprof.records.baseline import add_session, baseline_text, new_baseline, prune, read_baseline, write_baseline
from hyenaprof.records.sessions import CALIBRATION, point_name, points_of, records_of, session_of

DAY_S = 86400.0


def calibrated(records, *, gemm_s=0.01, copy_s=0.02):
    """The records and three places in a round of each calibration."""
    rounds = len(records[0].visits)
    places = [
        make_record(make_point(operator, length, implementation="torch"), time_s, rounds=rounds)
        for operator, time_s in zip(CALIBRATION.values(), (gemm_s, copy_s), strict=True)
        for length in (1, 2, 3)
    ]
    return (*records, *places)


def session_at(run, days):
    return session_of(run).model_copy(update={"started_at": STARTED_AT + days * DAY_S})


@pytest.fixture(scope="module")
def run():
    return make_run(calibrated(make_records(lengths=(1024, 2048), rounds=10)))


@pytest.fixture(scope="module")
def baseline(run):
    return new_baseline(session_of(run), points_of(run))


def test_a_session_keeps_medians_by_round_and_no_samples(run, baseline):
    record = run.records[0]
    held = baseline.sessions[0].points[point_name(record.point)]
    assert baseline.sessions[0].rounds == tuple(range(10))
    assert held.latency_s == pytest.approx([sorted(v.clean_s)[4] / 2 + sorted(v.clean_s)[5] / 2 for v in record.visits])
    assert held.peak_bytes == record.memory.peak_bytes


def test_calibrations_are_kept_by_round_and_are_no_points(run, baseline):
    (session,) = baseline.sessions
    assert session.calibration == {"copy": pytest.approx((0.02,) * 10), "gemm": pytest.approx((0.01,) * 10)}
    assert not any("calibration" in name for name in (*session.points, *baseline.points))
    assert len(baseline.points) == len(run.records) - 6


def test_the_roofline_position_is_the_share_of_arithmetic(baseline):
    """At 1024 tokens and calibration points of 1 to 3: builders' cost is proportional to the length on both."""
    (held,) = {measured.compute for measured in baseline.sessions[0].points.values()}
    # 1 MFLOP and 24 KiB a token on both: at rates of 1 / 0.01 and 1 / 0.02 of the same work, 0.01 of 0.03 is arithmetic.
    assert held == pytest.approx(1 / 3, abs=0.001)


def test_what_was_written_is_read_again_the_same_and_the_text_does_not_depend_on_how_it_was_made(
    tmp_path, run, baseline
):
    both = add_session(baseline, session_at(run, 1), points_of(run))
    path = tmp_path / "baseline.json"
    write_baseline(path, both)
    assert read_baseline(path) == both
    assert path.read_text(encoding="utf-8") == baseline_text(both)
    late_first = add_session(new_baseline(session_at(run, 1), points_of(run)), session_of(run), points_of(run))
    assert baseline_text(late_first) == baseline_text(both)
    assert list(tmp_path.iterdir()) == [path]


def test_a_session_more_only_adds_lines(run, baseline):
    before = baseline_text(baseline).splitlines()
    after = baseline_text(add_session(baseline, session_at(run, 1), points_of(run))).splitlines()
    left = iter(after)
    assert all(any(line.rstrip(",") == other.rstrip(",") for other in left) for line in before)
    assert len(after) < 2 * len(before)


def test_forty_points_and_six_sessions_take_less_than_200_kilobytes():
    lengths = (1024, 2048, 4096, 8192, 16384, 32768, 65536)
    run = make_run([with_energy(r, 0.123456789) for r in calibrated(make_records(lengths=lengths, rounds=10))])
    held = new_baseline(session_of(run), points_of(run))
    for days in range(1, 6):
        held = add_session(held, session_at(run, days), points_of(run))
    assert len(held.points) == 42
    assert len(baseline_text(held).encode()) < 200_000


def test_a_failed_point_is_kept_with_its_reason_and_comes_back_as_a_record():
    failed = make_failure(make_point("attention", 8192))
    run = make_run([make_record(make_point(), rounds=3), failed])
    session, points = session_of(run), points_of(run)
    ran, lost = sorted(records_of(session, points), key=lambda record: record.point.operator, reverse=True)
    assert (lost.outcome, lost.reason, lost.visits) == (failed.outcome, failed.reason, ())
    assert [visit.round for visit in ran.visits] == [0, 1, 2]
    assert ran.memory.peak_bytes == run.records[0].memory.peak_bytes


def test_points_are_in_order_of_operator_phase_and_length(baseline):
    keys = [(point.label, point.phase, point.shape.length) for point in baseline.points.values()]
    assert keys == sorted(keys)
    assert list(baseline.sessions[0].points) == list(baseline.points)


def test_the_same_session_is_not_added_twice(run, baseline):
    with pytest.raises(BaselineError, match="stands in the baseline already"):
        add_session(baseline, session_of(run), points_of(run))


def test_two_sessions_of_one_second_are_two(run, baseline):
    later = session_of(run)
    later = later.model_copy(update={"started_at": later.started_at + 0.001})
    assert len(add_session(baseline, later, points_of(run)).sessions) == 2


@pytest.mark.parametrize(("part", "fact", "let"), [("machine", "cores", True), ("protocol", "threads", False)])
def test_a_session_of_another_machine_or_protocol_is_refused(run, baseline, part, fact, let):
    here = make_fingerprint()
    other = here.model_copy(update={part: {**getattr(here, part), fact: 64}})
    session = session_at(run, 1).model_copy(update={"fingerprint": other})
    with pytest.raises(FingerprintError, match=f"another {part}: {part}.{fact}: 2 in the baseline, 64 here"):
        add_session(baseline, session, points_of(run))
    if let:
        assert len(add_session(baseline, session, points_of(run), other_machine=True).sessions) == 2


def test_a_session_with_other_software_is_added(run, baseline):
    session = session_at(run, 1).model_copy(update={"fingerprint": make_fingerprint(torch="2.14.0")})
    assert len(add_session(baseline, session, points_of(run)).sessions) == 2


def test_pruning_keeps_the_last_sessions_and_their_points(baseline):
    other = make_run([make_record(make_point("hyena", 512, phase=Phase.DECODE), rounds=3)])
    two = add_session(baseline, session_at(other, 1), points_of(other))
    last = prune(two, keep=1)
    assert [session.name for session in last.sessions] == [two.sessions[1].name]
    assert list(last.points) == list(points_of(other))
    assert prune(two, keep=5) == two
    with pytest.raises(BaselineError, match="0 sessions would be left"):
        prune(two, keep=0)


def test_a_run_without_measurements_or_of_two_environments_makes_no_session():
    with pytest.raises(BaselineError, match="measured nothing"):
        session_of(make_run([make_failure(make_point())]))
    apart = make_record(make_point("flash"), fingerprint_id=make_fingerprint(torch="2.12.0").id)
    run = make_run([make_record(make_point()), apart])
    other = HeaderLine(hyenaprof="0.1.0", fingerprint=make_fingerprint(torch="2.12.0"), started_at=STARTED_AT)
    with pytest.raises(BaselineError, match="2 environments"):
        session_of(replace(run, headers=(*run.headers, other)))


def spoilt(raw, change):
    change(raw)
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.update(kind="something"), "kind: Input should be 'hyenaprof baseline'"),
        (lambda raw: raw.update(schema_version=99), "schema version 99, this hyenaprof reads up to 1"),
        (lambda raw: raw.update(sessions=[]), "sessions: "),
        (lambda raw: raw["sessions"][0].update(rounds=[0, 1]), "10 values for 2 rounds"),
        (lambda raw: raw["sessions"][0].update(extra=1), "extra"),
        (lambda raw: raw["points"].popitem(), "is none of the points"),
        (lambda raw: next(iter(raw["points"].values())).update(seed=7), "point "),
        (
            lambda raw: next(iter(raw["sessions"][0]["points"].values()))["latency_s"].__setitem__(0, -1.0),
            "greater than 0",
        ),
    ],
)
def test_a_corrupt_file_is_refused_and_what_is_wrong_is_named(tmp_path, baseline, change, said):
    path = tmp_path / "baseline.json"
    path.write_text(spoilt(json.loads(baseline_text(baseline)), change), encoding="utf-8")
    with pytest.raises(BaselineError) as error:
        read_baseline(path)
    assert said in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("text", "said"), [('{"a":\n', "no JSON in line"), ("[]", "baseline.json"), ("NaN", "baseline.json")]
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text, said):
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(BaselineError, match=said):
        read_baseline(path)
    with pytest.raises(BaselineError, match=r"cannot read baseline gone\.json"):
        read_baseline(tmp_path / "gone.json")


def test_a_file_that_cannot_be_written_leaves_what_stood_there(tmp_path, baseline):
    path = tmp_path / "no such folder" / "baseline.json"
    with pytest.raises(BaselineError, match="cannot write"):
        write_baseline(path, baseline)
