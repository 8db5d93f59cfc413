"""What a command's argument names, and the records that are read from it."""

from __future__ import annotations

import builders
import pytest

from hyenaprof.errors import JournalError, TableError
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.source import Source, holds_numbers, read_source, source_of
from hyenaprof.records.store import begin_folder
from hyenaprof.records.table_file import SETTING_COLUMNS

ROWS = "operator,length,latency_ms,batch\nhyena,1024,2,8\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mine(folder):
    """A run's folder with one point."""
    made = builders.make_run([builders.make_record(builders.make_point())])
    begin_folder(folder / "mine", made.scenario)
    with Journal(folder / "mine" / NAME) as journal:
        journal.append(made.headers)
        journal.append(made.records[0].visits)
    return "mine"


@pytest.mark.parametrize("text", ["times.csv", "TIMES.CSV", "times.json", "nowhere/times.csv", f"nowhere/{NAME}"])
def test_a_table_or_a_journal_holds_numbers_whether_it_is_there_or_not(text):
    assert holds_numbers(text)


@pytest.mark.parametrize("text", ["modern", "modern.yaml", "nowhere", "mine.yaml"])
def test_a_scenario_holds_none(text):
    assert not holds_numbers(text)


def test_a_folder_holds_numbers_unless_it_only_has_a_scenarios_name(folder, mine):
    (folder / "modern").mkdir()
    (folder / "notes").mkdir()
    assert [holds_numbers(name) for name in (mine, "notes", "modern")] == [True, True, False]
    (folder / "modern" / NAME).touch()
    assert holds_numbers("modern")


@pytest.mark.parametrize("ending", ["", f"/{NAME}"])
def test_a_run_states_everything_and_names_its_machine(mine, ending):
    source = read_source(mine + ending)
    assert (source.name, source.stated) == ("mine", frozenset(SETTING_COLUMNS))
    assert source.fingerprints == (builders.make_fingerprint(),)
    assert [record.point for record in source.records] == [builders.make_point()]


def test_a_table_states_what_its_columns_do(folder):
    (folder / "times.csv").write_text(ROWS, encoding="utf-8")
    source = read_source("times.csv")
    assert (source.name, source.stated, source.fingerprints) == ("times.csv", {"batch"}, ())


def test_a_shipped_table_is_found_by_name_and_a_file_goes_before_it(folder):
    name = "hyena-fig4.3.csv"
    assert len(read_source(name).records) == 20
    (folder / name).write_text(ROWS, encoding="utf-8")
    assert len(read_source(name).records) == 1


def test_what_is_not_there_is_named():
    with pytest.raises(TableError, match=r"no table nowhere.csv"):
        read_source("nowhere.csv")
    with pytest.raises(JournalError, match="no run in 'nowhere'"):
        read_source("nowhere")


def test_a_run_in_memory_is_named_by_its_scenario():
    assert source_of(builders.make_run([])) == Source(
        name="hyena-vs-flash", records=(), fingerprints=(builders.make_fingerprint(),)
    )
