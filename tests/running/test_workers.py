from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest
from builders import make_point
from scripted import Orders, write_script

import hyenaprof
from hyenaprof import environment
from hyenaprof.environment import worker_environment
from hyenaprof.errors import DeviceError, WorkerError
from hyenaprof.model import Outcome, Phase
from hyenaprof.pipe import Describe, DescribeAnswer, Measure, MeasureAnswer, MeasureMemory, MemoryAnswer
from hyenaprof.records.scenario import Protocol
from hyenaprof.running import workers as under_test
from hyenaprof.running.resident import TYPICAL_BYTES
from hyenaprof.running.workers import Refused, Side, Worker, Workers, last_words

POINT = make_point(device="fake")
DESCRIBE = Describe(points=(POINT,))
LIMIT_S = 20.0


@pytest.fixture
def start(tmp_path):
    """Starts a scripted worker; whatever is left of it ends with the test."""
    started = []

    def begin(*faults, limit_s=10.0, **orders):
        script = write_script(tmp_path, Orders(faults=faults, **orders))
        side = Side("hyena", "fft", python=str(script.path))
        worker = Worker(side, device="fake", protocol=Protocol(), log=tmp_path / "worker.log", limit_s=limit_s)
        started.append(worker)
        return worker

    yield begin
    for worker in started:
        worker.kill()


@pytest.fixture
def fleet(tmp_path):
    """Workers for scripted sides, and the script that serves them all."""
    script = write_script(tmp_path)
    workers = Workers(device="fake", protocol=Protocol(), log=tmp_path / "worker.log")
    yield workers, tuple(Side("hyena", name, python=str(script.path)) for name in ("a", "b", "c"))
    workers.kill()


def describe(worker, *, limit_s=LIMIT_S, on_progress=None):
    return worker.ask(DESCRIBE, DescribeAnswer, limit_s=limit_s, on_progress=on_progress)


def refusal_of(worker, *, limit_s=LIMIT_S, on_progress=None):
    with pytest.raises(Refused) as caught:
        describe(worker, limit_s=limit_s, on_progress=on_progress)
    return caught.value


def is_alive(pid):
    """Whether a process runs; a zombie that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(process):
    """Whether a process, given by a descriptor of it, ends within five seconds: a kill takes a moment to arrive."""
    try:
        return bool(select.select([process], [], [], 5.0)[0])
    finally:
        os.close(process)


def pid_of(worker):
    return worker._process.pid


def test_a_request_is_answered_and_progress_is_told(start):
    told = []
    answer = describe(start(laws={"hyena": (2e-6, 1.0)}), on_progress=told.append)
    assert answer.costs[0].flops == pytest.approx(2e10 * 2e-6 * 1024, rel=1e-9)
    assert [progress.text for progress in told] == ["describe"]


def test_a_worker_says_who_it_is(start):
    hello = start().hello
    assert (hello.device_kind, hello.available_bytes, hello.threads) == ("fake", 2**30, 2)


def test_answers_of_one_worker_come_in_order(start):
    worker = start()
    for length in (64, 128, 256):
        points = tuple(
            make_point(length=length, phase=phase, device="fake") for phase in (Phase.BACKWARD, Phase.TRAINING)
        )
        visits = worker.ask(Measure(points=points, round=3, order=1), MeasureAnswer, limit_s=LIMIT_S).visits
        assert tuple(visit.point for visit in visits) == points
        assert {(visit.round, visit.order) for visit in visits} == {(3, 1)}


def test_an_answer_that_comes_in_pieces_is_put_together(start):
    worker = start({"verb": "describe", "kind": "pieces"})
    points = tuple(make_point(length=length, device="fake") for length in range(1, 200))
    assert len(worker.ask(Describe(points=points), DescribeAnswer, limit_s=LIMIT_S).costs) == 199


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGSEGV, "the worker ended with SIGSEGV"),
        (signal.SIGKILL, "the worker ended with SIGKILL"),
        (signal.SIGRTMIN + 5, f"the worker ended with signal {signal.SIGRTMIN + 5}"),
    ],
)
def test_death_by_a_signal_is_a_crash_that_names_it(start, number, said):
    refused = refusal_of(start({"verb": "describe", "kind": "signal", "number": int(number)}))
    assert (refused.outcome, refused.reason, refused.worker_lost) == (Outcome.CRASHED, said, True)


def test_an_exit_is_a_crash_with_its_status_and_last_words_scrubbed_of_paths(start):
    said = "loading\nfirst\nCUDA error in /home/someone/secret/kernel.cu\nsecond"
    refused = refusal_of(start({"verb": "describe", "kind": "exit", "status": 3, "says": said}))
    assert refused.outcome is Outcome.CRASHED
    assert refused.reason == ("the worker ended with exit status 3: first | CUDA error in kernel.cu | second")


def test_an_abort_for_want_of_memory_is_oom(start):
    fault = {"verb": "describe", "kind": "signal", "number": int(signal.SIGABRT)}
    starved = {**fault, "says": "terminate called after throwing an instance of 'std::bad_alloc'"}
    assert refusal_of(start(starved)).outcome is Outcome.OOM
    assert refusal_of(start({**fault, "says": "assertion failed"})).outcome is Outcome.CRASHED


def test_what_an_earlier_worker_printed_is_not_taken_for_last_words(start):
    refusal_of(start({"verb": "describe", "kind": "exit", "status": 1, "says": "the first"}))
    second = refusal_of(start({"verb": "describe", "kind": "exit", "status": 2}))
    assert second.reason == "the worker ended with exit status 2"


def test_what_was_said_of_an_earlier_request_is_not_taken_for_last_words(start):
    said = {"verb": "describe", "kind": "refuse", "outcome": "crashed", "reason": "wrong", "says": "ValueError: wrong"}
    worker = start(said, {"verb": "memory", "kind": "exit", "status": 2, "says": "the last word"})
    assert refusal_of(worker).reason == "wrong"
    with pytest.raises(Refused) as caught:
        worker.ask(MeasureMemory(points=(make_point(device="fake"),)), MemoryAnswer, limit_s=LIMIT_S)
    assert caught.value.reason == "the worker ended with exit status 2: the last word"


def test_of_a_dump_of_the_stack_the_innermost_frame_is_kept_and_the_words_before_it():
    log = """USDT:2026-01-02 03:04:05 77:77 Handler.cpp:52] profiler_start
terminate called after throwing an instance of 'std::out_of_range'
Fatal Python error: Aborted

Thread 0x00007f01 (most recent call first):
  File "idle.py", line 3 in wait

Current thread 0x00007f02 (most recent call first):
  File "kernel.py", line 11 in launch
  File "iteration.py", line 40 in forward

Extension modules: numpy._core._multiarray_umath, torch._C (total: 22)
"""
    assert last_words(log) == (
        "terminate called after throwing an instance of 'std::out_of_range' | File \"kernel.py\", line 11 in launch"
    )
    assert last_words("one\n\ntwo\nthree\nfour\n") == "two | three | four"
    assert last_words("") == ""


def test_death_between_two_requests_is_met_by_the_second(start):
    worker = start()
    worker._process.kill()
    worker._process.wait()
    assert refusal_of(worker).reason == "the worker ended with SIGKILL"


def test_a_kill_by_the_system_for_memory_is_oom(start, monkeypatch):
    kills = iter([7, 8])
    monkeypatch.setattr(under_test, "_oom_kills", lambda: next(kills))
    refused = refusal_of(start({"verb": "describe", "kind": "signal", "number": 9}))
    assert refused.outcome is Outcome.OOM
    assert "ran out of memory" in refused.reason


def test_a_crash_while_the_system_killed_another_process_for_memory_stays_a_crash(start, monkeypatch):
    kills = iter([7, 8])
    monkeypatch.setattr(under_test, "_oom_kills", lambda: next(kills))
    assert refusal_of(start({"verb": "describe", "kind": "signal", "number": 11})).outcome is Outcome.CRASHED


def test_a_worker_that_hangs_is_killed_at_its_limit_and_so_are_its_children(start):
    worker, children = start({"verb": "describe", "kind": "hang"}), []
    refused = refusal_of(worker, limit_s=0.5, on_progress=lambda told: children.append(os.pidfd_open(int(told.text))))
    assert (refused.outcome, refused.worker_lost) == (Outcome.TIMEOUT, True)
    assert "the worker was killed" in refused.reason
    assert not is_alive(pid_of(worker))
    assert ends(children[0])


def test_progress_does_not_put_the_limit_off(start):
    text = '{"kind": "progress", "id": 2, "text": "still at it"}\n' * 3
    refused = refusal_of(start({"verb": "describe", "kind": "write", "text": text}), limit_s=0.3)
    assert refused.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize(
    "text",
    ["Loading extension...\n", "{}\n", '{"kind": "reply", "id": 2, "answer": {"cost": 1}}\n', "\0\xff\n"],
)
def test_what_is_no_message_ends_the_worker_with_a_hint(start, text):
    worker = start({"verb": "describe", "kind": "write", "text": text})
    with pytest.raises(WorkerError, match="cannot be read") as caught:
        describe(worker)
    assert "same hyenaprof" in caught.value.hint
    assert not is_alive(pid_of(worker))


def test_an_answer_to_another_question_ends_the_worker(start):
    worker = start({"verb": "describe", "kind": "reply", "answer": {"statuses": []}})
    with pytest.raises(WorkerError, match="AvailabilityAnswer, not DescribeAnswer"):
        describe(worker)
    assert not is_alive(pid_of(worker))


def test_a_refusal_is_an_outcome_and_the_worker_lives_on(start):
    worker = start({"verb": "describe", "kind": "refuse", "outcome": "unsupported", "reason": "needs sm_90"})
    refused = refusal_of(worker)
    assert (refused.outcome, refused.reason, refused.worker_lost) == (Outcome.UNSUPPORTED, "needs sm_90", False)
    assert worker.ask(MeasureMemory(points=(POINT,)), MemoryAnswer, limit_s=LIMIT_S).lines[0].peak_bytes == 1000


def test_a_worker_of_another_version_is_refused(start):
    with pytest.raises(WorkerError, match="pipe version 99") as caught:
        start(hello={"pipe_version": 99})
    assert caught.value.exit_code == 3
    assert "both environments" in caught.value.hint


def test_a_device_that_is_not_there_is_said_in_the_workers_words(start):
    fault = {"verb": "hello", "kind": "refuse", "outcome": "unsupported", "reason": "no CUDA device 7"}
    with pytest.raises(DeviceError, match="no CUDA device 7") as caught:
        start(fault)
    assert caught.value.exit_code == 3


def test_an_interpreter_without_hyenaprof_is_said_in_its_words(start):
    fault = {"verb": "hello", "kind": "exit", "status": 1, "says": "No module named hyenaprof"}
    with pytest.raises(WorkerError, match=r"did not start: .* exit status 1: No module named hyenaprof") as caught:
        start(fault)
    assert "worker.log" in caught.value.hint


def test_an_interpreter_that_never_answers_is_ended(start):
    with pytest.raises(WorkerError, match="no answer within"):
        start({"verb": "hello", "kind": "hang"}, limit_s=0.3)


def test_a_file_that_is_no_program_is_one_sentence(tmp_path):
    program = tmp_path / "python"
    program.write_bytes(b"\x7fELF no more")
    program.chmod(0o755)
    for path in (program, tmp_path / "nowhere"):
        with pytest.raises(WorkerError, match="a worker of flash:fa4 cannot be started: ") as caught:
            Worker(Side("flash", "fa4", python=str(path)), device="fake", protocol=Protocol(), log=tmp_path / "log")
        assert "--python" in caught.value.hint


def test_a_closed_worker_leaves_no_child_behind(start):
    worker, told = start({"verb": "describe", "kind": "child"}), []
    describe(worker, on_progress=told.append)
    child = os.pidfd_open(int(told[0].text))
    worker.close()
    assert ends(child)
    assert worker._process.returncode == 0


def test_a_worker_that_ignores_its_closed_pipe_is_ended_by_force(start, monkeypatch):
    monkeypatch.setattr(under_test, "CLOSE_LIMIT_S", 0.2)
    worker = start({"verb": "describe", "kind": "hang"})
    worker._process.stdin.write(b'{"id": 9, "body": {"verb": "describe"}}\n')
    worker._process.stdin.flush()
    assert is_alive(pid_of(worker))
    worker.close()
    assert worker._process.returncode == -signal.SIGKILL


def test_a_worker_can_be_ended_twice(start):
    worker = start()
    process = worker._process
    worker.close()
    worker.close()
    worker.kill()
    assert process.returncode == 0
    assert not is_alive(process.pid)


def test_a_side_keeps_its_worker_within_a_round(fleet):
    workers, (side, *_) = fleet
    assert workers.get(side) is workers.get(side)


def test_at_most_two_workers_live_and_the_longest_idle_makes_room(fleet):
    workers, (a, b, c) = fleet
    first, second = workers.get(a), workers.get(b)
    workers.get(a)
    third = workers.get(c)
    assert [is_alive(pid_of(worker)) for worker in (first, second, third)] == [True, False, True]


def test_more_live_where_memory_leaves_room_and_make_room_when_it_does_not(fleet):
    workers, (a, b, c) = fleet
    workers.room_bytes = 3.5 * TYPICAL_BYTES
    three = [workers.get(side) for side in (a, b, c)]
    assert [is_alive(pid_of(worker)) for worker in three] == [True, True, True]
    workers.room_bytes = 0.0
    assert workers.get(a) is three[0]
    assert [is_alive(pid_of(worker)) for worker in three] == [True, False, True]


def test_every_round_has_fresh_processes(fleet):
    workers, (a, b, _) = fleet
    before = {pid_of(workers.get(side)) for side in (a, b)}
    workers.renew()
    assert not any(is_alive(pid) for pid in before)
    assert before.isdisjoint(pid_of(workers.get(side)) for side in (a, b))


def test_a_dropped_worker_is_dead_and_replaced(fleet):
    workers, (a, *_) = fleet
    first = workers.get(a)
    workers.drop(a)
    workers.drop(a)
    assert not is_alive(pid_of(first))
    assert workers.get(a) is not first


def test_the_time_to_start_is_the_median_seen_here(fleet):
    workers, (a, b, c) = fleet
    assert workers.start_s == 3.0
    for side in (a, b, c):
        workers.get(side)
    assert workers.start_s == sorted(workers._starts_s)[1]
    assert 0 < workers.start_s < 3.0


def test_the_environment_of_a_worker_holds_allocator_and_threads(monkeypatch):
    monkeypatch.setenv("HOME", "/root")
    given = under_test._environment(Protocol(allocator="warm", threads=3), own=True)
    assert worker_environment("warm", 3).items() <= given.items()
    assert (given["OMP_NUM_THREADS"], given["MALLOC_MMAP_MAX_"]) == ("3", "0")
    assert given["HOME"] == "/root"
    assert "MALLOC_MMAP_MAX_" not in under_test._environment(Protocol(allocator="default"), own=True)


def test_an_uninstalled_checkout_is_importable_in_every_worker(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/mine")
    home = str(Path(hyenaprof.__file__).parents[1])
    for own in (True, False):
        assert under_test._environment(Protocol(), own=own)["PYTHONPATH"] == f"{home}:/mine"


def test_installed_packages_never_cross_into_another_environment(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(environment, "__file__", "/env/lib/python3.11/site-packages/hyenaprof/environment.py")
    assert "PYTHONPATH" not in under_test._environment(Protocol(), own=False)
    assert under_test._environment(Protocol(), own=True)["PYTHONPATH"] == "/env/lib/python3.11/site-packages"


def test_a_side_is_the_same_whichever_interpreter_runs_it():
    assert Side("flash", "fa4", python=sys.executable) == Side("flash", "fa4")
    assert hash(Side("flash", "fa4", python=sys.executable)) == hash(Side("flash", "fa4"))
