from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest
from builders import STARTED_AT, make_check, make_cost, make_fingerprint, make_point, make_visit

from hyenaprof.errors import JournalError
from hyenaprof.model import (
    CeilingsLine,
    ChoiceLine,
    CostLine,
    EndLine,
    HeaderLine,
    MemoryLine,
    Outcome,
    SkipLine,
)
from hyenaprof.records.journal import NAME, Journal, read_journal

POINT = make_point()
IDENTITY = make_fingerprint().id
VISITS = tuple(make_visit(POINT, 1e-3, round=number, noise=0.01) for number in range(3))
ONE_OF_EACH = (
    HeaderLine(hyenaprof="0.1.0", fingerprint=make_fingerprint(), started_at=STARTED_AT),
    make_check(POINT),
    MemoryLine(point=POINT, peak_bytes=24 * 2**20, method="allocation events", fingerprint_id=IDENTITY),
    CostLine(point=POINT, cost=make_cost(POINT)),
    ChoiceLine(operator="hyena", implementation="fft", trial_s={"fft": 0.1}, fingerprint_id=IDENTITY),
    CeilingsLine(device="cpu", copy_bytes_per_s={2**20: 1e10}, fingerprint_id=IDENTITY),
    *VISITS,
    SkipLine(point=POINT, outcome=Outcome.OVER_BUDGET, reason="late", predicted_s=3.5, fingerprint_id=IDENTITY),
    EndLine(complete=False, reason="the budget was reached", elapsed_s=1.0),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / NAME


@pytest.fixture
def written(path):
    """A journal of three visits."""
    path.parent.mkdir()
    with Journal(path) as journal:
        journal.append(VISITS)
    return path


def test_what_was_appended_is_read_back_equal_and_in_order(path):
    path.parent.mkdir()
    with Journal(path) as journal:
        journal.append(ONE_OF_EACH[:4])
        journal.append(ONE_OF_EACH[4:])
    assert read_journal(path) == (ONE_OF_EACH, ())


def test_a_line_is_one_json_object_that_says_what_it_is(written):
    texts = written.read_text(encoding="utf-8").splitlines()
    assert [json.loads(text)["kind"] for text in texts] == ["visit"] * 3


def test_a_line_is_on_disk_when_append_returns(path, monkeypatch):
    path.parent.mkdir()
    sizes = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    with Journal(path) as journal:
        journal.append(VISITS[:1])
        assert read_journal(path)[0] == VISITS[:1]
        assert sizes == [path.stat().st_size]


def test_appending_goes_on_where_the_last_writer_ended(written):
    before = written.read_bytes()
    with Journal(written) as journal:
        journal.append(ONE_OF_EACH[-1:])
    assert written.read_bytes().startswith(before)
    assert read_journal(written)[0] == (*VISITS, ONE_OF_EACH[-1])


def test_an_empty_journal_holds_nothing(path):
    path.parent.mkdir()
    Journal(path).close()
    assert read_journal(path) == ((), ())


def test_a_line_torn_at_any_byte_is_dropped_with_a_warning_and_the_rest_kept(written):
    raw = written.read_bytes()
    start = raw[:-1].rindex(b"\n") + 1
    for end in range(start + 1, len(raw) - 1, 37):
        written.write_bytes(raw[:end])
        lines, warnings = read_journal(written)
        assert lines == VISITS[:2]
        assert warnings == (f"{NAME}: the last line was torn and is dropped; the visit under way was lost",)


def test_a_journal_of_one_torn_line_holds_nothing(written):
    written.write_bytes(written.read_bytes()[:50])
    assert read_journal(written)[0] == ()


def test_a_last_line_that_lacks_only_its_end_is_kept(written):
    written.write_bytes(written.read_bytes()[:-1])
    assert read_journal(written) == (VISITS, ())


@pytest.mark.parametrize("zeros", [1, 4096])
def test_zeros_that_a_power_cut_left_at_the_end_are_dropped(written, zeros):
    written.write_bytes(written.read_bytes() + b"\0" * zeros)
    lines, warnings = read_journal(written)
    assert lines == VISITS
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "Invalid JSON"),
        (b"not json", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'"visit"', "journal.jsonl line 2 is corrupt"),
        (b'{"kind":"visti"}', "visti"),
        (b'{"kind":"visit"}', "visit.point: Field required"),
        (b'{"kind":"end","complete":true,"reason":"x","elapsed_s":1,"more":1}', "end.more: Extra inputs"),
        (b'{"kind":"end","complete":true,"reason":"x","elapsed_s":NaN}', "elapsed_s"),
    ],
)
def test_a_corrupt_line_is_named_by_its_number(written, line, said):
    lines = written.read_bytes().split(b"\n")
    lines[1] = line
    written.write_bytes(b"\n".join(lines))
    with pytest.raises(JournalError) as caught:
        read_journal(written)
    assert caught.value.message.startswith("journal.jsonl line 2 is corrupt: ")
    assert said in caught.value.message
    assert "--fresh" in caught.value.hint


def test_the_number_of_a_corrupt_line_counts_blank_ones(written):
    written.write_bytes(b"\n\n" + written.read_bytes() + b"{}\n")
    with pytest.raises(JournalError, match="line 6 is corrupt"):
        read_journal(written)


def test_a_corrupt_line_that_was_ended_is_not_taken_for_a_torn_one(written):
    written.write_bytes(written.read_bytes() + b'{"kind":\n')
    with pytest.raises(JournalError, match="line 4 is corrupt"):
        read_journal(written)


def test_opening_cuts_a_torn_line_off_so_that_the_next_one_stands_whole(written):
    whole = written.read_bytes()
    written.write_bytes(whole + whole.splitlines()[0][:80])
    with Journal(written) as journal:
        assert written.read_bytes() == whole
        journal.append(ONE_OF_EACH[-1:])
    assert read_journal(written) == ((*VISITS, ONE_OF_EACH[-1]), ())


def test_opening_ends_a_whole_line_that_lacks_its_end(written):
    whole = written.read_bytes()
    written.write_bytes(whole[:-1])
    with Journal(written) as journal:
        journal.append(ONE_OF_EACH[-1:])
    assert read_journal(written) == ((*VISITS, ONE_OF_EACH[-1]), ())


def test_a_second_writer_is_refused_and_writes_nothing(written):
    before = written.read_bytes()
    with Journal(written), pytest.raises(JournalError, match="another hyenaprof is writing run"):
        Journal(written)
    assert written.read_bytes() == before
    Journal(written).close()


def test_a_writer_in_another_process_is_refused_too(written):
    script = f"from hyenaprof.records.journal import Journal; from pathlib import Path; Journal(Path({str(written)!r}))"
    with Journal(written):
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "another hyenaprof is writing run" in ended.stderr
    assert ended.returncode == 1


def test_a_torn_line_of_a_run_that_is_being_written_is_left_alone(written):
    with Journal(written):
        with written.open("ab") as other:
            other.write(b'{"kind":')
        before = written.read_bytes()
        with pytest.raises(JournalError):
            Journal(written)
        assert written.read_bytes() == before


def test_a_full_disk_is_one_sentence_and_what_stood_there_stands(written, monkeypatch):
    before = written.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(written) as journal:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="cannot write journal.jsonl: No space left on device"):  # noqa: RUF043 -- a dot is a dot
            journal.append(VISITS)
    assert written.read_bytes().startswith(before)


def test_a_journal_that_is_not_there_is_named(tmp_path):
    with pytest.raises(JournalError, match="cannot read journal") as caught:
        read_journal(tmp_path / NAME)
    assert caught.value.exit_code == 2


def test_a_newer_schema_is_told_apart_from_a_corrupt_line(path):
    path.parent.mkdir()
    header = json.loads(ONE_OF_EACH[0].model_dump_json()) | {"schema_version": 99, "novelty": 1}
    path.write_text(json.dumps(header) + "\n", encoding="utf-8")
    with pytest.raises(JournalError, match="schema version 99") as caught:
        read_journal(path)
    assert "newer hyenaprof" in caught.value.hint
