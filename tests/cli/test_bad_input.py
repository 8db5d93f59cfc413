from __future__ import annotations

import sys
from pathlib import Path

import pytest
from builders import make_scenario
from commands import run

from hyenaprof.records.journal import NAME
from hyenaprof.records.store import begin_folder

PAGE = "operators: {hyena: {}, flash: {}}\n"
SWEEP = ("sweep", "--ops", "hyena,flash")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "said", "hinted"),
    [
        (("sweep",), "nothing to measure", "--ops hyena,flash"),
        (("sweep", "--ops", ","), "--ops names no operator", "--ops hyena,flash"),
        (("sweep", "--ops", "hyenna"), "no operator 'hyenna'", "did you mean 'hyena'?"),
        (("sweep", "--ops", "hyena, fl/ash"), "no operator 'fl/ash'", "did you mean 'flash'?"),
        (("sweep", "--ops", "../hyena"), "no operator '../hyena'", "did you mean 'hyena'?"),
        (("sweep", "--ops", "hyena:ftf"), "operator 'hyena' has no implementation 'ftf'", "did you mean 'fft'?"),
        (("sweep", "modrn"), "no scenario 'modrn'", "did you mean 'modern'?"),
        (("sweep", "."), "no scenario '.'", "known: "),
        ((*SWEEP, "--set", "hyena.ordr=3"), "operator 'hyena' has no option 'ordr'", "did you mean 'order'?"),
        ((*SWEEP, "--set", "hyena.order=two"), "hyena.order='two' is not of type int", "the default is 2"),
        ((*SWEEP, "--set", "hyena.order=1"), "hyena.order=1 is outside 2 to 64", "the default is 2"),
        ((*SWEEP, "--set", "hyena.order=100000"), "hyena.order=100000 is outside 2 to 64", "the default is 2"),
        ((*SWEEP, "--set", "hyena.embedding=4"), "hyena.embedding=4 is outside 3 to 1025, odd", "the default is 33"),
        ((*SWEEP, "--set", "hyena.frequency=0"), "hyena.frequency=0.0 is outside 0.001 to 1000", "default is 14.0"),
        ((*SWEEP, "--set", "hyena.frequency=.inf"), "option 'frequency' is set to inf", "order: 3"),
        ((*SWEEP, "--set", "hyena.filter_width=0"), "hyena.filter_width=0 is outside 1 to 8192", "default is 64"),
        ((*SWEEP, "--set", "hyena.filter_depth=1"), "hyena.filter_depth=1 is outside 2 to 64", "the default is 4"),
        ((*SWEEP, "--set", "hyena.short_taps=0"), "hyena.short_taps=0 is outside 1 to 1024", "the default is 3"),
        ((*SWEEP, "--set", "hyena.window=2"), "hyena.window=2 is not of type bool", "the default is True"),
        ((*SWEEP, "--set", "hyena.filter=cachd"), "hyena.filter='cachd' is not known", "did you mean 'cached'?"),
        ((*SWEEP, "--set", "hyena.filter=foo"), "hyena.filter='foo' is not known", "known: cached, recomputed"),
        ((*SWEEP, "--set", "hyena.order="), "option 'order' is set to None", "order: 3"),
        ((*SWEEP, "--set", "hyena.order=["), "--set 'hyena.order=[': '[' is no value", "--set hyena.order=3"),
        ((*SWEEP, "--set", "order=3"), "--set 'order=3' is not OPERATOR.OPTION=VALUE", "--set hyena.order=3"),
        ((*SWEEP, "--set", "attention.order=3"), "--set names 'attention', which is not measured", "known: flash"),
        ((*SWEEP, "--max-len", "0"), "length 0 is outside 1 to 1M", "1048576"),
        ((*SWEEP, "--max-len", "2M"), "length 2M is outside 1 to 1M", "1048576"),
        ((*SWEEP, "--max-len", "-1"), "'-1' is not a sequence length", "128k"),
        ((*SWEEP, "--min-len", "8k", "--max-len", "4k"), "from 8k is past to 4k", "--max-len"),
        ((*SWEEP, "--lengths", "1k,0"), "length 0 is outside 1 to 1M", "1048576"),
        ((*SWEEP, "--lengths", "1k,x"), "'x' is not a sequence length", "128k"),
        ((*SWEEP, "--lengths", ","), "the flags: lengths: ", "lengths: {from: 1k"),
        ((*SWEEP, "--lengths", "1k", "--min-len", "64"), "--lengths and --min-len are both given", "one of them"),
        ((*SWEEP, "--lengths", "1k,8k", "--max-len", "4k"), "lengths: 8k is over --max-len 4k", "--max-len"),
        ((*SWEEP, "--heads", "5"), "5 heads do not divide width 768", "divide"),
        ((*SWEEP, "--width", "100", "--heads", "3"), "3 heads do not divide width 100", "divide"),
        ((*SWEEP, "--width", "0"), "width 0 is below 1", "768"),
        ((*SWEEP, "--width", "wide"), "--width 'wide' is not a whole number", "--width 8"),
        ((*SWEEP, "--batch", "0"), "the flags: batch 0: ", "at least 1"),
        ((*SWEEP, "--batch", "1.5"), "--batch '1.5' is not a whole number", "--batch 8"),
        ((*SWEEP, "--dtype", "flaot32"), "the flags: dtype 'flaot32': ", "did you mean 'float32'?"),
        ((*SWEEP, "--device", "gpu"), "no device 'gpu'", "did you mean 'cpu'?"),
        ((*SWEEP, "--scope", "block"), "operator 'hyena' has no scope block", "known: core, layer"),
        ((*SWEEP, "--scope", "lyer"), "the flags: scope 'lyer': ", "did you mean 'layer'?"),
        ((*SWEEP, "--phases", "forward,bakward"), "the flags: phases 'bakward': ", "did you mean 'backward'?"),
        ((*SWEEP, "--phases", "decode"), "phases: no operator has a phase decode yet", "forward, backward, training"),
        ((*SWEEP, "--phases", "decoed"), "phases 'decoed': no such phase", "known: backward, forward, training"),
        ((*SWEEP, "--budget", "ten"), "'ten' is not a duration", "10m"),
        ((*SWEEP, "--precision", "0"), "'0' is not a fraction", "2%"),
        ((*SWEEP, "--rounds", "9999"), "the flags: rounds 9999: ", "1 to 1000"),
        ((*SWEEP, "--cache", "luke"), "the flags: protocol.cache 'luke': ", "known: cold, hot"),
        ((*SWEEP, "--threads", "2", "--allocator", "x"), "the flags: protocol.allocator 'x': ", "known: default, warm"),
        ((*SWEEP, "--python", "flash=python"), "--python 'flash=python' is not OP:IMPL=PATH", "flash:fa4="),
        ((*SWEEP, "--python", "flash:sdpa=/nowhere"), "--python flash:sdpa: no interpreter there", "python executable"),
        (("verify",), "nothing to verify", "--ops all"),
        (("verify", "--ops", "all,hyenna"), "no operator 'hyenna'", "did you mean 'hyena'?"),
        (("verify", "--ops", "hyena:ftf"), "operator 'hyena' has no implementation 'ftf'", "did you mean 'fft'?"),
        (("verify", "--ops", "hyena", "--length", "0"), "length 0 is outside 1 to 1M", "1048576"),
        (("report", "nowhere"), "no run in 'nowhere'", "journal.jsonl"),
        (("report", "."), "no run in '.'", "journal.jsonl"),
        (("list", "--device", "gpu"), "no device 'gpu'", "did you mean 'cpu'?"),
    ],
)
def test_a_bad_request_is_one_sentence_a_hint_and_status_2(capsys, folder, arguments, said, hinted):
    ended = run(capsys, *arguments)
    error, hint = ended.said()
    assert said in error
    assert hinted in hint
    assert (ended.status, ended.out) == (2, "")
    assert contents(folder) == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*SWEEP, "--max-lenn", "4k"), "--max-len"),
        ((*SWEEP, "--rounds", "0"), "'--rounds'"),
        ((*SWEEP, "--rounds", "many"), "'--rounds'"),
        ((*SWEEP, "--seed", "-1"), "'--seed'"),
        ((*SWEEP, "--threads", "0"), "'--threads'"),
        (("swep",), "'sweep'"),
        (("report",), "'RUN'"),
        (("sweep", "quick", "modern"), "modern"),
    ],
)
def test_a_flag_or_command_that_is_not_there_is_named_with_the_nearest_and_status_2(capsys, folder, arguments, said):
    ended = run(capsys, *arguments)
    assert said in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert (ended.status, ended.out) == (2, "")
    assert contents(folder) == {}


@pytest.mark.parametrize(
    ("page", "flags", "said"),
    [
        (PAGE + "\nwdth: 3\n", (), "unknown key 'wdth' in mine.yaml line 3"),
        (PAGE + "lengths: 4096\n", ("--max-len", "2k"), "lengths: 4096 is over --max-len 2k"),
        (PAGE + "lengths: [1k, 64]\n", ("--min-len", "128"), "lengths: 64 is under --min-len 128"),
        (PAGE + "lengths: [1k, x]\n", ("--min-len", "128"), "'x' is not a sequence length"),
        (PAGE + "protocol: cold\n", ("--cache", "hot"), "mine.yaml line 2: protocol 'cold'"),
        ("operators: [hyena]\n", ("--set", "hyena.order=3"), "mine.yaml line 1: operators"),
        ("operators: hyena\n", ("--set", "hyena.order=3"), "mine.yaml line 1: operators 'hyena'"),
        ("operators: {hyena: fft}\n", ("--set", "hyena.order=3"), "mine.yaml line 1: operators.hyena 'fft'"),
        ("width: 3\n", (), "nothing to measure"),
        ("- hyena\n", (), "mine.yaml holds no mapping"),
        ("operators: !!python/object/apply:os.mkdir [made]\n", (), "mine.yaml is not valid YAML"),
    ],
)
def test_a_bad_page_is_one_sentence_whatever_flags_lie_over_it(capsys, folder, page, flags, said):
    (folder / "mine.yaml").write_text(page, encoding="utf-8")
    ended = run(capsys, "sweep", "mine.yaml", *flags)
    assert said in ended.said()[0]
    assert ended.status == 2
    assert list(folder.iterdir()) == [folder / "mine.yaml"]


def test_another_scenarios_run_is_refused_and_left_as_it_was(capsys, folder):
    begin_folder(folder / "mine", make_scenario(width=128))
    (folder / "mine" / NAME).touch()
    before = contents(folder)
    ended = run(capsys, *SWEEP, "--device", "fake", "--out", "mine")
    assert "mine holds another scenario's run" in ended.said()[0]
    assert ended.status == 2
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["notes", "notes/here", "mine.txt", "mine.txt/run"])
def test_what_is_no_run_is_never_written_into(capsys, folder, name):
    (folder / "notes" / "here").mkdir(parents=True)
    for place in ("notes/a.txt", "notes/here/b.txt", "mine.txt"):
        (folder / place).write_text("mine", encoding="utf-8")
    before = contents(folder)
    ended = run(capsys, *SWEEP, "--device", "fake", "--out", name)
    assert ended.said()[1].startswith("name ")
    assert ended.status == 2
    assert contents(folder) == before


def test_a_corrupt_line_is_named_by_its_number(capsys, folder):
    begin_folder(folder / "mine", make_scenario())
    (folder / "mine" / NAME).write_text('{"kind":"end","complete":false,"reason":"","elapsed_s":1}\n{}\n', "utf-8")
    before = contents(folder)
    ended = run(capsys, "report", "mine")
    assert ended.said()[0].startswith("journal.jsonl line 2 is corrupt: ")
    assert ended.status == 2
    assert contents(folder) == before


def test_an_interpreter_that_is_no_program_is_status_3(capsys, folder):
    program = folder / "python"
    program.write_bytes(b"\x7fELF no more")
    program.chmod(0o755)
    ended = run(capsys, *SWEEP, "--device", "fake", "--python", f"hyena:fft={program}", "--out", "mine")
    assert "a worker of hyena:fft cannot be started" in ended.said()[0]
    assert ended.status == 3


def test_an_interpreter_for_a_side_that_is_not_compared_is_refused(capsys, tmp_path):
    ended = run(
        capsys,
        "sweep",
        "--ops",
        "hyena:fft",
        "--device",
        "fake",
        "--python",
        f"flash:sdpa={sys.executable}",
        "--out",
        "o",
    )
    error, hint = ended.said()
    assert error == "--python names 'flash:sdpa', which is not compared"
    assert hint == "compared: hyena:fft"
    assert ended.status == 2
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_a_device_that_is_not_there_is_status_3_and_leaves_nothing(capsys, folder, flags):
    ended = run(capsys, *SWEEP, "--device", "fake:9", "--out", "mine", *flags)
    error, hint = ended.said()
    assert error.startswith("no device fake:9")
    assert "--device" in hint
    assert ended.status == 3
    assert contents(folder) == {}


def test_no_hint_names_a_command_that_is_not_there(capsys):
    commands = {line.split()[0] for line in run(capsys, "--help").out.partition("Commands:")[2].splitlines() if line}
    source = Path(__file__).parents[2] / "hyenaprof"
    named = {
        text.partition("`hyenaprof ")[2].split("`")[0].split()[0]
        for path in source.rglob("*.py")
        for text in path.read_text(encoding="utf-8").splitlines()
        if "hint=" in text and "`hyenaprof " in text
    }
    assert named <= commands
