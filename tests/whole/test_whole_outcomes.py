"""Every outcome met for real on the CPU, beside an operator that is sound and must stay unharmed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from whole_program import Program, visits_of

import hyenaprof
from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.model import Outcome
from hyenaprof.records.store import WORKER_LOG

TOYS = Path(__file__).parent / "toys"
SOMEBODY = "jdoe77"
NO_ANSWER_S = 6
"""Long for a healthy call of a toy even on a busy machine."""
LENGTHS = (128, 192, 256, 320, 384, 448, 512, 640, 768, 4096, 8192, 16384)
ROUNDS = 2


class OnCPU(Program):
    """The program where the toys are installed, with a lock of its own: its times are nobody's result."""

    @property
    def environment(self):
        return {**super().environment, "TMPDIR": str(self.folder), "LOGNAME": SOMEBODY}

    def sweep(self, operators, lengths, *arguments, width=64):
        return self.run(
            *("sweep", "--ops", operators, "--device", "cpu", "--width", str(width), "--out", "mine"),
            *("--lengths", ",".join(map(str, lengths)), *arguments),
        )

    def records(self):
        """Records of the run by operator, phase and length."""
        records = hyenaprof.load(self.folder / "mine").records
        return {(r.point.operator, str(r.point.phase), r.point.shape.length): r for r in records}

    def outcomes(self, operator, phase="forward"):
        """Outcomes of one operator in one phase by length."""
        return {
            length: r.outcome for (name, of, length), r in self.records().items() if (name, of) == (operator, phase)
        }

    def written(self):
        """Text of every file of the run, by name."""
        files = [path for path in (self.folder / "mine").rglob("*") if path.is_file()]
        return {path.name: path.read_bytes().decode(errors="replace") for path in files}


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """Makes a program in a folder of its own."""
    return lambda: OnCPU(tmp_path_factory.mktemp("outcomes"), path=(TOYS,))


@pytest.fixture(scope="module")
def troubled(begin):
    """A sweep of an operator that fails at each length in another way, and how it ended."""
    program = begin()
    ended = program.sweep(
        "sound,frail:by_length", LENGTHS, "--phases", "forward", "--rounds", str(ROUNDS), "--timeout", f"{NO_ANSWER_S}s"
    )
    return program, ended


FAILED = {
    192: (Outcome.UNSUPPORTED, r"libfrail 2\.0 has no kernel for 192 positions"),
    256: (Outcome.CRASHED, r"ValueError: <user> has no frail\.py \(line \d+ of frail\.py\)"),
    320: (
        Outcome.CRASHED,
        r'the worker ended with SIGABRT: frail: <user> cannot read frail\.py \| File "frail\.py", line \d+ in aborts',
    ),
    384: (Outcome.TIMEOUT, rf"no answer within {NO_ANSWER_S} s; the worker was killed"),
    448: (Outcome.INCORRECT, r"output: not finite at L=448, by .*"),
    768: (Outcome.OVER_BUDGET, r".*predicted to take .*"),
    4096: (Outcome.IMPLAUSIBLE, r"[\d.]+ TFLOP/s is [\d.]+x the [\d.]+ GFLOP/s measured for float32 matrix mult.*"),
    8192: (Outcome.INCORRECT, r"(output|gradient of x): error 0\.0\d+, tolerance 1e-06 at L=8192, by .*"),
    16384: (Outcome.INCORRECT, r"(output|gradient of x): error 0\.0\d+, tolerance 1e-06 at L=16384, by .*"),
}


def test_every_failure_is_its_outcome_and_no_other_point_of_the_operator_is_touched(troubled):
    program, _ = troubled
    failed = {length: outcome for length, (outcome, _) in FAILED.items()}
    assert program.outcomes("frail") == {length: failed.get(length, Outcome.OK) for length in LENGTHS}


@pytest.mark.parametrize("length", FAILED)
def test_every_failure_says_why(troubled, length):
    reason = troubled[0].records()["frail", "forward", length].reason
    assert re.fullmatch(FAILED[length][1], reason), reason


def test_the_operator_beside_it_is_unharmed(troubled):
    program, _ = troubled
    assert program.outcomes("sound") == dict.fromkeys(LENGTHS, Outcome.OK)
    visits = visits_of(program.folder / "mine")
    for label, lengths in (("sound:plain", LENGTHS), ("frail:by_length", set(LENGTHS) - set(FAILED))):
        for length in lengths:
            assert [visits[label, "forward", length, number] for number in range(ROUNDS)] == [1] * ROUNDS


def test_what_is_incorrect_or_implausible_makes_the_exit_status_1(troubled):
    program, ended = troubled
    assert (ended.returncode, ended.stderr) == (1, "")
    assert program.left_behind() == []


def test_what_an_operator_prints_is_in_the_log_and_nowhere_else(troubled):
    program, ended = troubled
    log = (program.folder / "mine" / WORKER_LOG).read_text(encoding="utf-8").splitlines()
    said = {"frail is being imported", "python says hello", "c says hello", "a descriptor says hello"}
    assert said <= set(log)
    assert "hello" not in ended.stdout


def test_an_operator_that_keeps_memory_is_named_and_no_other(troubled):
    found = {
        (name, length): warning
        for (name, _, length), record in troubled[0].records().items()
        for warning in record.warnings
        if warning.startswith("leaks")
    }
    assert found == {("frail", 640): "leaks: each call keeps about 160 KiB until the process ends"}


def test_terminal_and_report_show_every_failure_with_its_reason(troubled):
    program, ended = troubled
    written = program.written()
    assert {"report.md", "report.html"} <= set(written)
    told = " ".join(ended.stdout.split())
    for length, (outcome, _) in FAILED.items():
        reason = program.records()["frail", "forward", length].reason
        assert f"{OUTCOME_WORDS[outcome]}, {reason}" in told
        assert OUTCOME_WORDS[outcome] in written["report.md"]
    assert "libfrail 2.0 has no kernel for 192 positions" in written["report.md"]
    assert "leaks: each call keeps about 160 KiB" in written["report.md"]


def test_nothing_that_is_written_names_a_person_or_a_folder_of_this_machine(troubled):
    program, _ = troubled
    for name, text in program.written().items():
        for private in (SOMEBODY, str(program.folder), str(TOYS), hyenaprof.__path__[0]):
            assert private not in text, f"{private} stands in {name}"


def test_what_fails_while_it_is_verified_is_never_timed_and_harms_nobody(begin):
    program = begin()
    ended = program.sweep("sound,frail:poisons,frail:aborts", (100,), "--phases", "forward", "--rounds", "1")
    assert (ended.returncode, ended.stderr) == (1, "")
    run = hyenaprof.load(program.folder / "mine")
    found = {record.point.implementation: (record.outcome, record.reason) for record in run.records}
    assert found["plain"] == (Outcome.OK, None)
    assert found["poisons"] == (Outcome.INCORRECT, "output: not finite at L=127, by float64 definition")
    outcome, reason = found["aborts"]
    assert outcome is Outcome.CRASHED
    assert re.search(r"the worker ended with SIGABRT: .*frail: <user> cannot read frail\.py", reason), reason
    assert {label for label, *_ in visits_of(program.folder / "mine")} == {"sound:plain"}


def test_a_gradient_that_is_wrong_only_beyond_32768_is_incorrect_only_there(begin):
    program = begin()
    lengths = (32768, 65536)
    ended = program.sweep(
        *("sound,frail:late_gradient", lengths, "--phases", "forward,backward,training", "--rounds", "1"), width=8
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    for phase in ("forward", "backward", "training"):
        assert program.outcomes("sound", phase) == dict.fromkeys(lengths, Outcome.OK)
        assert program.outcomes("frail", phase) == {32768: Outcome.OK, 65536: Outcome.INCORRECT}
        reason = program.records()["frail", phase, 65536].reason
        assert re.fullmatch(r"gradient of x: error 0\.0\d+, tolerance 1e-06 at L=65536, by .*", reason), reason


def test_memory_that_runs_out_is_oom_and_longer_sequences_are_not_attempted(begin):
    program = begin()
    ended = program.sweep("sound,frail:hungry", (256, 512, 1024, 2048), "--phases", "forward", "--rounds", "1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert program.outcomes("sound") == dict.fromkeys((256, 512, 1024, 2048), Outcome.OK)
    hungry = {length: record for (name, _, length), record in program.records().items() if name == "frail"}
    assert {length: (record.outcome, record.inferred) for length, record in hungry.items()} == {
        256: (Outcome.OK, False),
        512: (Outcome.OOM, False),
        1024: (Outcome.OOM, True),
        2048: (Outcome.OOM, True),
    }
    assert "can't allocate memory" in hungry[512].reason
    assert hungry[1024].reason == "out of memory at 512 already; not attempted"
    assert hungry[2048].reason.startswith("needs about 1048576 TiB by its formula, ")
    assert "inferred, not met" in program.written()["report.md"]


def test_what_was_not_attempted_can_be_forced(begin):
    program = begin()
    # With glibc's own allocator: the warm one would make the memory present that the formula asks for.
    ended = program.sweep(
        *("frail:hungry", (512, 1024, 2048), "--phases", "forward", "--rounds", "1", "--force"),
        *("--allocator", "default"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert program.outcomes("frail") == {512: Outcome.OOM, 1024: Outcome.OK, 2048: Outcome.OK}
