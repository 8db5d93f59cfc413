"""Tables from anywhere: what is read, what is refused, and what is said of them."""

import json

import pytest

from hyenaprof.analysis.crossover import find_all, statements
from hyenaprof.analysis.scaling import measured_exponents
from hyenaprof.errors import TableError
from hyenaprof.model import CrossoverState, Outcome, Phase
from hyenaprof.records.table_file import UNPAIRED, read_table

FIGURE_4_3 = """operator,length,latency_ms
hyena,1024,0.90
hyena,2048,1.16
hyena,4096,1.47
hyena,8192,1.50
hyena,16384,2.84
hyena,32768,5.41
hyena,65536,11.32
attention,1024,0.40
attention,2048,1.25
attention,4096,2.16
attention,8192,6.17
attention,16384,21.74
attention,32768,90.71
attention,65536,-
flash,1024,0.29
flash,2048,0.30
flash,4096,0.63
flash,8192,2.10
flash,16384,8.33
flash,32768,32.85
flash,65536,129.07
"""
"""Data of Figure 4.3 of arXiv:2302.10866, in milliseconds."""

TRITON = """L,hyena (ms),flash (ms)
1024.000000,2.0,1.0
2048.000000,4.0,3.0
4096.000000,8.0,11.0
"""


@pytest.fixture
def table(tmp_path):
    def write(text, name="times.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_papers_figure_crosses_where_its_data_say(table):
    found = {
        x.incumbent.operator: x
        for x in find_all(read_table(table(FIGURE_4_3)).records)
        if x.challenger.operator == "hyena"
    }
    assert found["attention"].flips[0].length == pytest.approx(1930, rel=0.05)
    assert found["flash"].flips[0].length == pytest.approx(6730, rel=0.05)
    assert found["flash"].warnings == ("single values: no interval can be had",)


def test_statements_of_a_table_leave_the_unstated_phase_out(table):
    read = read_table(table(FIGURE_4_3))
    assert "phase" not in read.stated
    told = statements(read.records, phases=False)
    assert told[0] == "hyena overtakes flash between 4096 and 8192, at about 6727"


@pytest.mark.parametrize(("column", "seconds"), [("latency_s", 1.0), ("latency_ms", 1e-3), ("latency_us", 1e-6)])
def test_times_come_in_three_units(table, column, seconds):
    (record,) = read_table(table(f"operator,length,{column}\nhyena,1k,7\n")).records
    assert record.visits[0].latency_s == (pytest.approx(7 * seconds),)
    assert record.point.shape.length == 1024


def test_repeated_rows_give_an_interval_without_pretending_to_be_paired(table):
    rows = [
        f"{name},{length},{factor * length * (1 + 0.01 * n)}"
        for name, factor in (("hyena", 1), ("flash", 2))
        for length in (1024, 2048)
        for n in range(4)
    ]
    read = read_table(table("operator,length,latency_us\n" + "\n".join(rows)))
    (found,) = find_all(read.records)
    first = found.comparisons[0]
    assert (first.ratio, first.paired) == (pytest.approx(2.0), False)
    assert first.low < 2.0 < first.high
    assert found.warnings == ()
    assert read.warnings == (UNPAIRED,)


def test_a_column_of_rounds_pairs_the_rows(table):
    rows = [
        f"{name},{length},{n},{factor * (1 + n)}"
        for name, factor in (("hyena", 1), ("flash", 2))
        for length in (1024, 2048)
        for n in range(4)
    ]
    read = read_table(table("operator,length,round,latency_ms\n" + "\n".join(rows)))
    (found,) = find_all(read.records)
    assert read.warnings == ()
    assert (found.comparisons[0].low, found.comparisons[0].high) == pytest.approx((2.0, 2.0))


def test_rows_that_stand_twice_count_once(table):
    read = read_table(table(FIGURE_4_3 + "hyena,1024,0.90\nflash,1024,0.29\n"))
    assert read.records == read_table(table(FIGURE_4_3)).records
    assert read.warnings == ("2 rows stand twice and were counted once",)


def test_rows_out_of_order_change_nothing(table):
    header, *rows = FIGURE_4_3.splitlines()
    shuffled = "\n".join([header, *rows[::-1]])
    assert set(statements(read_table(table(shuffled)).records)) == set(
        statements(read_table(table(FIGURE_4_3)).records)
    )


def test_settings_in_columns_make_curves_of_their_own(table):
    text = "operator,length,latency_ms,phase,batch,width,heads,dtype,device\n" + "".join(
        f"{name},{length},{time},{phase},2,768,12,float16,cuda\n"
        for phase, scale in (("forward", 1), ("training", 3))
        for name, length, time in (
            ("hyena:fft", 1024, 2 * scale),
            ("flash", 1024, scale),
            ("hyena:fft", 4096, 8 * scale),
            ("flash", 4096, 16 * scale),
        )
    )
    read = read_table(table(text))
    assert read.stated == {"phase", "batch", "width", "heads", "dtype", "device"}
    found = find_all(read.records)
    assert [x.challenger.phase for x in found] == [Phase.FORWARD, Phase.TRAINING]
    assert found[0].challenger.implementation == "fft"
    assert found[0].challenger.batch == 2


def test_an_outcome_in_place_of_a_time_is_that_outcome(table):
    text = "operator,length,latency_ms\nhyena,1024,2\nhyena,2048,4\nattention,1024,1\nattention,2048,OOM\n"
    read = read_table(table(text))
    assert [r.outcome for r in read.records if r.point.operator == "attention"] == [Outcome.OK, Outcome.OOM]
    assert statements(read.records, phases=False) == (
        (
            "attention is faster at 1024, the only length measured on both sides (2x; 1 round only, no interval): "
            "where they cross cannot be said; attention stopped at 2048: out of memory"
        ),
    )


def test_peak_memory_of_a_table_is_compared(table):
    text = "operator,length,latency_ms,peak_memory_bytes\n" + "".join(
        f"hyena,{n},1,{1000 * n}\nattention,{n},1,{n * n}\n" for n in (512, 1024, 2048)
    )
    (found,) = find_all(read_table(table(text)).records, metric="peak_memory")
    assert found.flips[0].length == pytest.approx(1000)


def test_json_rows_read_like_csv(table):
    rows = [{"operator": "hyena", "length": n, "latency_ms": 0.1 * n} for n in (1024, 2048)]
    (first, second) = read_table(table(json.dumps(rows), "times.json")).records
    assert (first.point.shape.length, second.point.shape.length) == (1024, 2048)
    assert second.visits[0].latency_s == (pytest.approx(0.2048),)


def test_tritons_table_is_read_as_it_is(table):
    (told,) = statements(read_table(table(TRITON)).records, phases=False)
    assert told.startswith("hyena overtakes flash between 2048 and 4096, at about 2846")


def test_tritons_older_table_without_units_is_taken_for_milliseconds(table):
    read = read_table(table(TRITON.replace(" (ms)", "")))
    assert read.records == read_table(table(TRITON)).records
    assert read.warnings == ("times.csv names no unit: its times were taken for milliseconds",)


def test_tritons_real_writer_is_understood(tmp_path, monkeypatch):
    testing = pytest.importorskip("triton.testing")
    monkeypatch.setenv("MPLBACKEND", "Agg")

    @testing.perf_report(
        testing.Benchmark(
            x_names=["N"],
            x_vals=[1024, 2048, 4096],
            line_arg="which",
            line_vals=["a", "b"],
            line_names=["Mine", "Theirs"],
            ylabel="ms",
            plot_name="lengths",
            args={},
        )
    )
    def bench(N, which):
        return N / 1000 if which == "a" else N**2 / 3_000_000

    bench.run(save_path=str(tmp_path))
    read = read_table(tmp_path / "lengths.csv")
    assert measured_exponents(read.records) == pytest.approx({"Mine": 1.0, "Theirs": 2.0}, abs=0.001)
    (found,) = find_all(read.records, exponents=measured_exponents(read.records))
    assert (found.challenger.operator, found.state) == ("Mine", CrossoverState.RESOLVED)
    assert found.flips[0].length == pytest.approx(3000, rel=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "times.csv holds no rows"),
        ("operator,length,latency_ms\n", "times.csv holds no rows"),
        ("operator,length\nhyena,1024\n", "times.csv has no column of times"),
        ("operator,latency_ms\nhyena,1\n", "times.csv has no column length"),
        (
            "operator,length,latency_s,latency_ms\nhyena,1024,1,1\n",
            "times.csv has more than one column of times: latency_s, latency_ms",
        ),
        ("operator,length,latency_ms,colour\nhyena,1024,1,red\n", "times.csv has an unknown column 'colour'"),
        (
            "operator,length,latency_ms\nhyena,1024,1\nhyena,zero,1\n",
            "times.csv line 3: 'zero' is not a sequence length",
        ),
        ("operator,length,latency_ms\nhyena,1024,-1\n", "times.csv line 2: a time of -1 is not positive"),
        (
            "operator,length,latency_ms\nhyena,1024,fast\n",
            "times.csv line 2: 'fast' is not a time",
        ),
        ("operator,length,latency_ms\n,1024,1\n", "times.csv line 2: the operator is empty"),
        ("operator,length,latency_ms\nhyena,1024,1,2\n", "times.csv line 2 has more cells than the header"),
        ("L,hyena (GB/s)\n1024,3\n", "times.csv holds GB/s, not times"),
        ("L\n1024\n", "times.csv has no column operator, no column length, no column of times"),
        ("op,len,ms\nhyena,1024,1\n", "times.csv has no column operator, no column length, no column of times"),
        ("op,length,latency_ms\n1,1024,1\n", "times.csv has no column operator"),
        ("operator;length;latency_ms\nhyena;1024;1\n", "times.csv is separated by semicolons"),
        ("operator\tlength\tlatency_ms\nhyena\t1024\t1\n", "times.csv is separated by tabs"),
        ("operator,length,length,latency_ms\nhyena,1,2,3\n", "times.csv has two columns length"),
        ("operator,length,latency_ms\nhyena,1024,1\nhyena,2048,nan\n", "times.csv line 3: 'nan' is not a time"),
        ("operator,length,latency_ms\nhyena,1024,inf\n", "times.csv line 2: 'inf' is not a time"),
        (
            "BATCH,N_CTX,hyena (ms),flash (ms)\n1,1024,2,1\n",
            "times.csv has more than one column that is no time: BATCH, N_CTX",
        ),
        (
            "operator,length,latency_ms,phase\nhyena,1024,1,forwad\n",
            "times.csv line 2: phase 'forwad' is not known",
        ),
        (
            "operator,length,latency_ms,batch\nhyena,1024,1,two\n",
            "times.csv line 2: batch 'two' is not a whole number of at least 1",
        ),
        (
            "operator,length,latency_ms,round\nhyena,1024,1,first\n",
            "times.csv line 2: round 'first' is not a whole number of at least 0",
        ),
        (
            "operator,length,latency_ms,width,heads\nhyena,1024,1,64,3\n",
            "times.csv line 2: 3 heads do not divide width 64",
        ),
        (
            "operator,length,latency_ms,peak_memory_bytes\nhyena,1024,1,much\n",
            "times.csv line 2: peak_memory_bytes 'much' is not a number of bytes",
        ),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(table, text, message):
    with pytest.raises(TableError) as refusal:
        read_table(table(text))
    assert refusal.value.message == message


def test_an_operator_without_any_time_is_there_and_says_so(table):
    text = "operator,length,latency_ms\nhyena,1024,\nhyena,2048,-\nflash,1024,1\nflash,2048,2\nattention,1024,3\n"
    told = statements(read_table(table(text)).records, phases=False)
    assert told[0] == "hyena and flash cannot be compared: hyena has no time at any length"
    assert told[1] == "hyena and attention cannot be compared: hyena has no time at any length"
    assert told[2].startswith("flash is faster at 1024")


def test_an_empty_time_beside_others_is_passed_over(table):
    text = "operator,length,latency_ms\nhyena,1024,1\nhyena,2048,\n"
    assert [record.point.shape.length for record in read_table(table(text)).records] == [1024]


def test_a_nan_in_json_is_refused_by_its_row(table):
    text = '[{"operator": "hyena", "length": 1024, "latency_ms": 1}, {"operator": "hyena", "length": 2048, "latency_ms": NaN}]'
    with pytest.raises(TableError, match=r"times.json row 2: 'nan' is not a time"):
        read_table(table(text, "times.json"))


def test_a_column_of_line_numbers_is_passed_over(table):
    for text in (FIGURE_4_3, TRITON):
        header, *rows = text.splitlines()
        indexed = [f",{header}", *(f"{n},{row}" for n, row in enumerate(rows))]
        assert read_table(table("\n".join(indexed))).records == read_table(table(text)).records


def test_whole_numbers_may_be_written_as_pandas_writes_them(table):
    text = "operator,length,latency_ms,batch,round\nhyena,1024.0,1,8.0,3.0\n"
    (record,) = read_table(table(text)).records
    assert (record.point.shape.batch, record.visits[0].round) == (8, 3)


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("times.json", "[]", "latency_ms"),
        ("times.csv", "", "a header line"),
        (
            "times.csv",
            "op,len,ms\nhyena,1024,1\n",
            "its columns are op, len, ms; needed are operator, length and one of",
        ),
        ("times.csv", "operator,length,latency_ms,phase\nhyena,1,1,forwad\n", "did you mean 'forward'?"),
        ("times.csv", "operator,length,latency_ms\nhyena,1,nan\n", "oom, timeout or crashed"),
        ("times.csv", "BATCH,N_CTX,hyena (ms)\n1,1024,2\n", "keep the length"),
    ],
)
def test_a_refused_table_gets_a_hint_of_its_own_kind(table, name, text, hint):
    with pytest.raises(TableError) as refusal:
        read_table(table(text, name))
    assert hint in refusal.value.hint


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(TableError, match=r"no table none.csv"):
        read_table(tmp_path / "none.csv")


@pytest.mark.parametrize(("text", "message"), [("{", "line 1 is no JSON"), ("{}", "is not a list of rows")])
def test_bad_json_is_refused(table, text, message):
    with pytest.raises(TableError, match=message):
        read_table(table(text, "times.json"))
