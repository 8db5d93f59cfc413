"""`hyenaprof crossover TABLE|RUN`: what is said of numbers from anywhere, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import builders
import pytest
from commands import run

from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.store import begin_folder
from hyenaprof.resources import table_files
from hyenaprof.units import UNKNOWN

FIGURE = "hyena-fig4.3.csv"
HEADER = "operator,length,latency_ms\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def crossover(capsys, folder):
    """Runs the command on a table of rows of operator, length and milliseconds."""

    def analyse(*rows, flags=(), header=HEADER):
        (folder / "times.csv").write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return run(capsys, "crossover", "times.csv", *flags)

    return analyse


def write_run(folder, made):
    begin_folder(folder, made.scenario)
    with Journal(folder / NAME) as journal:
        journal.append(made.headers)
        journal.append(line for record in made.records for line in (record.memory, *record.visits) if line)


def statements(ended):
    """What stands before the warnings and the growth."""
    return ended.out.partition("\n\n")[0].splitlines()


def test_the_papers_own_figure_crosses_where_its_data_say(capsys):
    ended = run(capsys, "crossover", FIGURE, "--json")
    assert (ended.status, ended.err) == (0, "")
    held = json.loads(ended.out)
    lengths = {
        found["incumbent"]: found["changes"][0]["length"]
        for found in held["crossovers"]
        if found["challenger"] == "hyena"
    }
    assert lengths == {"flash": pytest.approx(6730, rel=0.05), "attention": pytest.approx(1930, rel=0.05)}


def test_single_values_give_a_bracket_a_length_and_the_word_that_no_interval_can_be_had(capsys):
    ended = run(capsys, "crossover", FIGURE)
    assert statements(ended) == [
        "hyena overtakes flash between 4096 and 8192, at about 6727",
        "hyena overtakes attention between 1024 and 2048, at about 1932",
        "not in range: flash is faster already from 1024 up to 32768 (2.76x there; 1 round only, no interval)",
    ]
    assert ended.out.count("single values: no interval can be had") == 1


def test_a_prediction_is_marked_and_goes_no_further_than_it_may(capsys):
    table = run(capsys, "crossover", FIGURE).out.partition("(~: predicted, not measured)")[2]
    assert "2x longest" in table
    (flash,) = [line for line in table.splitlines() if line.startswith("flash")]
    assert flash.split()[1].startswith("L^1.98")
    assert "~495 ms [379, 552]" in flash
    assert flash.rstrip().endswith("[1.51, 2.21] s")  # an interval alone past twice the longest length


def test_where_the_incumbent_leads_to_the_end_the_fit_says_what_may_come(crossover):
    rows = [f"hyena,{n},{1.0 + n / 8192}" for n in (1024, 2048, 4096, 8192)]
    rows += [f"flash,{n},{1.5 * (n / 8192) ** 2 + 0.01}" for n in (1024, 2048, 4096, 8192)]
    ended = crossover(*rows)
    said, predicted = statements(ended)
    assert said.startswith("not in range: flash is faster up to 8192")
    assert predicted == "  predicted, not measured: hyena overtakes flash before 16384"
    form = json.loads(crossover(*rows, flags=("--json",)).out)["crossovers"][0]
    assert (form["state"], form["changes"]) == ("none in range", [])
    assert form["predicted_beyond"] == {"challenger_leads_by": 16384, "reach": 32768}


def test_an_operator_that_grows_otherwise_than_its_cost_is_flagged(crossover):
    lengths = [64 * 1024 * 2**step for step in range(4)]
    rows = [f"attention,{n},50" for n in lengths] + [f"hyena,{n},{n / 6000}" for n in lengths]
    ended = crossover(*rows)
    assert ended.status == 0
    assert "attention does not scale like its stated cost: from 131072 to 524288 its time grows as L^0.00" in ended.out
    assert "hyena does not scale" not in ended.out
    scaling = {entry["operator"]: entry for entry in json.loads(crossover(*rows, flags=("--json",)).out)["scaling"]}
    assert scaling["attention"]["warning"].endswith("its cost as L^2 in the limit of long sequences")
    assert scaling["hyena"]["warning"] is None


@pytest.mark.parametrize(
    ("rows", "status", "statement"),
    [
        (
            ["hyena,1024,1", "flash,1024,2"],
            0,
            (
                "hyena is faster at 1024, the only length measured on both sides (2x; 1 round only, no interval): "
                "where they cross cannot be said"
            ),
        ),
        (["hyena,1024,1", "hyena,2048,2"], 3, "only hyena is there: a crossover needs two operators"),
        (
            ["hyena,1024,oom", "hyena,2048,oom", "flash,1024,crashed"],
            3,
            "hyena and flash cannot be compared: hyena was measured nowhere: the table says oom",
        ),
        (
            ["hyena,1024,4", "hyena,2048,4", "hyena,4096,4", "flash,1024,2", "flash,2048,4", "flash,4096,8"],
            0,
            "hyena overtakes flash between 1024 and 4096, at about 2048",
        ),
        (
            ["flash,4096,8", "hyena,1024,4", "flash,1024,2", "hyena,4096,4", "hyena,2048,4", "flash,2048,4"],
            0,
            "hyena overtakes flash between 1024 and 4096, at about 2048",
        ),
        (
            ["hyena,1024,4", "flash,1024,2", "hyena,1024,4", "hyena,4096,4", "flash,4096,8", "flash,4096,8"],
            0,
            "hyena overtakes flash between 1024 and 4096, at about 2048",
        ),
        (
            ["hyena,1024,4", "hyena,2048,4", "flash,4096,2", "flash,8192,4"],
            3,
            "hyena and flash cannot be compared: the two sides were measured at no common length",
        ),
    ],
    ids=["one length", "one operator", "all failed", "on a length", "out of order", "rows twice", "no common length"],
)
def test_a_table_that_is_short_of_something_gets_one_clear_statement(crossover, rows, status, statement):
    ended = crossover(*rows)
    assert statements(ended) == [statement]
    assert (ended.status, ended.err) == (status, "")


def test_a_side_that_ran_out_of_memory_after_one_common_length_is_said(crossover):
    ended = crossover("hyena,1024,2", "hyena,2048,oom", "flash,1024,1", "flash,2048,2", "flash,4096,4")
    assert statements(ended) == [
        (
            "flash is faster at 1024, the only length measured on both sides (2x; 1 round only, no interval): "
            "where they cross cannot be said; hyena stopped at 2048: out of memory"
        )
    ]


def test_an_operator_without_a_time_does_not_vanish(crossover):
    ended = crossover("hyena,1024,", "flash,1024,1")
    assert statements(ended) == ["hyena and flash cannot be compared: hyena has no time at any length"]
    assert ended.status == 3


def test_repetitions_that_nothing_pairs_are_said_once_with_what_would_pair_them(crossover):
    times = [(name, length, n) for name in ("hyena", "flash") for length in (1024, 2048) for n in range(3)]
    ended = crossover(
        *(f"{name},{length},{length * (1 + (name == 'flash')) * (1 + 0.01 * n)}" for name, length, n in times)
    )
    assert ended.out.count("not paired at 2 of 2 lengths") == 1
    assert ended.out.count("a column `round` would say which were made together") == 1
    assert "common rounds" not in ended.out


def test_the_growth_of_two_lengths_is_not_called_that_of_two_octaves_nor_given_an_interval(crossover):
    ended = crossover("hyena,1024,2", "hyena,2048,2.1", "flash,1024,1", "flash,2048,4")
    assert "\nGrowth over the measured lengths, and the fitted cost" in ended.out
    (hyena,) = [line.split() for line in ended.out.splitlines() if line.startswith("hyena  ")]
    assert hyena[1:3] == ["L^0.07", UNKNOWN]
    assert "does not scale" not in ended.out


def test_rows_that_stand_twice_are_said(crossover):
    assert " - 1 row stands twice and was counted once" in crossover("hyena,1,4", "flash,1,2", "flash,1,2").out


def test_an_empty_run_gets_one_clear_statement(capsys, folder):
    write_run(folder / "mine", builders.make_run([]))
    ended = run(capsys, "crossover", "mine")
    assert ended.out == "nothing was measured: there is no record to look for a crossover in\n"
    assert ended.status == 3


def test_a_run_of_failures_gets_one_clear_statement(capsys, folder):
    made = builders.make_run(builders.make_failure(builders.make_point(name)) for name in ("hyena", "flash"))
    begin_folder(folder / "mine", made.scenario)
    with Journal(folder / "mine" / NAME) as journal:
        journal.append(made.headers)
        journal.append(
            builders.make_visit(record.point, outcome=record.outcome, reason="needs 48 GiB") for record in made.records
        )
    ended = run(capsys, "crossover", "mine")
    assert statements(ended) == [
        "forward: hyena and flash cannot be compared: hyena was measured nowhere: needs 48 GiB"
    ]
    assert ended.status == 3


def test_a_run_is_analysed_in_time_and_memory_each_phase_with_its_interval(capsys, folder):
    write_run(folder / "mine", builders.make_run())
    ended = run(capsys, "crossover", "mine")
    told = statements(ended)
    phases = [str(phase) for phase in builders.PHASES]
    assert [line.partition(":")[0] for line in told] == [*phases, *(f"{phase}, peak memory" for phase in phases)]
    assert all("hyena overtakes flash between 2048 and 4096" in line for line in told[:3])
    held = json.loads(run(capsys, "crossover", f"mine/{NAME}", "--json").out)
    assert held["source"] == "mine"
    first = held["crossovers"][0]
    assert first["setting"] == {
        "scope": "layer",
        "phase": "forward",
        "batch": 1,
        "width": 768,
        "heads": 12,
        "dtype": "float32",
        "device": "cpu",
    }
    change = first["changes"][0]
    assert change["low"] < builders.CROSSOVER < change["high"]
    assert change["bracket"] == [2048, 4096]
    assert [comparison["rounds"] for comparison in first["comparisons"]] == [6] * 4


def test_the_form_for_machines_has_the_keys_that_scripts_rely_on(capsys):
    held = json.loads(run(capsys, "crossover", FIGURE, "--json").out)
    assert list(held) == ["version", "source", "crossovers", "nothing", "scaling", "warnings"]
    assert (held["version"], held["source"], held["nothing"]) == (1, FIGURE, None)
    assert list(held["crossovers"][0]) == [
        *("challenger", "incumbent", "setting", "metric", "state", "statement", "changes", "range"),
        *("leads_throughout", "equal_zone", "reason", "comparisons", "predicted_beyond", "warnings"),
    ]
    assert set(held["crossovers"][0]["setting"].values()) == {None}  # the table states none of it
    assert list(held["scaling"][0]) == [
        *("operator", "setting", "growth", "growth_overall", "fit_residual", "predictions", "warning"),
    ]
    point, interval = held["scaling"][0]["predictions"]
    assert (point["length"], interval["length"], interval["latency_s"]) == (131072, 262144, None)


def test_nothing_to_compare_is_still_one_json_object(crossover):
    ended = crossover("hyena,1024,1", flags=("--json",))
    held = json.loads(ended.out)
    assert (ended.status, held["crossovers"]) == (3, [])
    assert held["nothing"] == "only hyena is there: a crossover needs two operators"


def test_a_file_of_ones_own_goes_before_the_shipped_table(capsys, folder):
    (folder / FIGURE).write_text(HEADER + "hyena,1024,1\nflash,1024,2\n", encoding="utf-8")
    assert "at 1024" in run(capsys, "crossover", FIGURE).out


def test_a_table_that_states_its_phase_is_told_by_phase(crossover):
    rows = [
        f"{operator},{length},{time},{phase}"
        for phase in ("training", "forward")
        for operator, length, time in (("hyena", 1024, 2), ("hyena", 4096, 8), ("flash", 1024, 1), ("flash", 4096, 16))
    ]
    ended = crossover(*rows, header="operator,length,latency_ms,phase\n")
    assert [line.partition(":")[0] for line in statements(ended)] == ["forward", "training"]


def test_memory_in_a_table_without_phases_is_called_memory(crossover):
    rows = [f"hyena,{n},1,{1000 * n}" for n in (512, 2048)] + [f"attention,{n},1,{n * n}" for n in (512, 2048)]
    ended = crossover(*rows, header="operator,length,latency_ms,peak_memory_bytes\n")
    assert statements(ended)[1].startswith("peak memory: hyena undercuts attention between 512 and 2048")


@pytest.mark.parametrize(
    ("arguments", "said", "hinted"),
    [
        (("nowhere.csv",), "no table nowhere.csv", ".csv or .json"),
        (("bad.csv",), "bad.csv line 2: 'x' is not a sequence length", "128k"),
        (("empty",), "no run in 'empty'", "journal.jsonl"),
        (
            (FIGURE, "--max-len", "4k"),
            f"--max-len says how to measure, but {FIGURE} is only analysed",
            "leave the flag",
        ),
        ((FIGURE, "--seed", "0"), f"--seed says how to measure, but {FIGURE} is only analysed", "leave the flag"),
        ((FIGURE, "--precision", "2%"), "--precision says how to measure", "name a scenario to measure"),
        ((FIGURE, "--python", "flash:fa4=x"), "--python says how to measure", "name a scenario to measure"),
        ((FIGURE, "--fresh"), "--fresh says how to measure", "name a scenario to measure"),
        (("modrn",), "no scenario 'modrn'", "did you mean 'modern'?"),
        (("times.tsv",), "times.tsv is not named as a table", ".csv (commas) or .json"),
    ],
)
def test_a_request_that_cannot_be_met_is_status_2_with_one_sentence(capsys, folder, arguments, said, hinted):
    (folder / "empty").mkdir()
    (folder / "bad.csv").write_text(HEADER + "hyena,x,1\n", encoding="utf-8")
    (folder / "times.tsv").write_text(HEADER, encoding="utf-8")
    ended = run(capsys, "crossover", *arguments)
    assert ended.err.startswith(f"error: {said}")
    assert hinted is None or hinted in ended.said()[1]
    assert (ended.status, ended.out) == (2, "")


def test_a_folder_that_only_shares_a_scenarios_name_is_not_taken_for_a_run(capsys, folder):
    (folder / "quick").mkdir()
    ended = run(capsys, "crossover", "quick", "--device", "fake:9")
    assert ended.said()[0].startswith("no device fake:9")


def test_analysing_needs_no_torch():
    script = (
        "import sys\nsys.argv[1:] = ['crossover', 'hyena-fig4.3.csv']\nfrom hyenaprof.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "overtakes" in ended.stdout
    assert not {"torch", "pandas", "matplotlib"} & set(ended.stderr.split())


def test_the_shipped_table_is_one_file_that_is_read_by_name():
    assert list(table_files()) == [FIGURE]
