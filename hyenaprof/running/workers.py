"""Workers as the parent sees them: started, asked, timed out, outlived."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hyenaprof.environment import Interpreter, importable, worker_environment
from hyenaprof.errors import DeviceError, WorkerError
from hyenaprof.model import OptionValue, Outcome
from hyenaprof.pipe import (
    MESSAGES,
    PIPE_VERSION,
    AnyAnswer,
    AnyRequest,
    Hello,
    HelloAnswer,
    Progress,
    Refusal,
    Reply,
    Request,
)
from hyenaprof.records.scenario import Protocol
from hyenaprof.running.resident import most_live, resident_bytes
from hyenaprof.scrub import scrub
from hyenaprof.units import format_duration

_Answer = TypeVar("_Answer", bound=AnyAnswer)
OnProgress = Callable[[Progress], None]
START_LIMIT_S = 120.0
CLOSE_LIMIT_S = 5.0
LOG_TAIL_LINES = 3


@dataclass(frozen=True, slots=True, order=True)
class Side:
    """One side of a comparison: what a worker serves."""

    operator: str
    implementation: str
    options: tuple[tuple[str, OptionValue], ...] = ()
    python: str | None = field(default=None, compare=False)
    """Another environment's interpreter; never written to the journal."""


EVERY_SIDE = Side("*", "*")
"""Stands for all sides that one worker serves."""


class Refused(Exception):  # noqa: N818 -- an outcome, not an error
    """A request that ended in an outcome: refused by the worker, or by its death or its being killed."""

    def __init__(self, refusal: Refusal, *, worker_lost: bool) -> None:
        super().__init__(refusal.reason)
        self.outcome = refusal.outcome
        self.reason = refusal.reason
        self.worker_lost = worker_lost

    @classmethod
    def of(cls, outcome: Outcome, reason: str) -> Refused:
        """An outcome that the parent concluded from what a worker said."""
        return cls(Refusal(outcome=outcome, reason=reason), worker_lost=False)


class Worker:
    """One worker process in a process group of its own.

    Args:
        side: What it serves, for its interpreter.
        device: As the user wrote it.
        protocol: Allocator and threads, set in its environment before it starts.
        log: File that takes whatever it prints.
        limit_s: Seconds in which it must have started.
        interpreter: What runs it, whatever the side says; None for the side's python, or this one.

    Raises:
        WorkerError: It did not start, or speaks another protocol.
        DeviceError: The device is not there.
    """

    def __init__(
        self,
        side: Side,
        *,
        device: str,
        protocol: Protocol,
        log: Path,
        limit_s: float = START_LIMIT_S,
        interpreter: Interpreter | None = None,
    ) -> None:
        self.side = side
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._ooms = _oom_kills()
        self._ids = 0
        self._buffer = b""
        self._process = _start(side, protocol, log, interpreter)
        self.hello = self._greet(device, protocol, limit_s)

    @property
    def resident_bytes(self) -> int:
        """What the process keeps in memory now."""
        return resident_bytes(self._process.pid)

    def _greet(self, device: str, protocol: Protocol, limit_s: float) -> HelloAnswer:
        try:
            answer = self.ask(
                Hello(device=device, **protocol.model_dump(exclude={"allocator"})),
                HelloAnswer,
                limit_s=limit_s,
            )
        except Refused as refused:
            self.kill()
            if refused.worker_lost:
                raise WorkerError(
                    f"a worker did not start: {refused.reason}",
                    hint="see worker.log in the run's folder, and `hyenaprof list`",
                ) from None
            raise DeviceError(refused.reason, hint="leave --device out, or name one that is there") from None
        if answer.pipe_version != PIPE_VERSION:
            self.kill()
            raise WorkerError(
                f"the worker speaks pipe version {answer.pipe_version}, this is {PIPE_VERSION}",
                hint="install the same hyenaprof in both environments",
            )
        return answer

    def ask(
        self, body: AnyRequest, kind: type[_Answer], *, limit_s: float, on_progress: OnProgress | None = None
    ) -> _Answer:
        """Sends a request and waits for its answer.

        Args:
            body: The request.
            kind: The type its answer must have.
            limit_s: Seconds after which the worker is killed.
            on_progress: Told what the worker is at.

        Raises:
            Refused: The outcome of a request that has no answer: `timeout`, `crashed`, `oom`, or as the worker said.
        """
        if (
            self._ids and self._process.poll() is None
        ):  # what it said of an earlier request explains no death in this one
            self._log_start = self._log.stat().st_size
        self._ids += 1
        deadline = time.monotonic() + limit_s
        try:
            assert self._process.stdin is not None  # noqa: S101 -- opened with PIPE above
            self._process.stdin.write(Request(id=self._ids, body=body).model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._death() from None
        while True:
            message = self._next(deadline, limit_s)
            if isinstance(message, Progress):
                if on_progress is not None:
                    on_progress(message)
            elif message.refusal is not None:
                raise Refused(message.refusal, worker_lost=message.last)
            elif isinstance(message.answer, kind):
                return message.answer
            else:
                self.kill()
                raise WorkerError(f"the worker answered {type(message.answer).__name__}, not {kind.__name__}")

    def _next(self, deadline: float, limit_s: float) -> Progress | Reply:
        line = self._read_line(deadline)
        if line is None:
            self.kill()
            reason = f"no answer within {limit_s:.0f} s; the worker was killed"
            raise Refused(Refusal(outcome=Outcome.TIMEOUT, reason=reason), worker_lost=True)
        if not line:
            raise self._death()
        try:
            return MESSAGES.validate_json(line)
        except ValidationError:
            self.kill()
            raise WorkerError(
                "the worker's answer cannot be read", hint="install the same hyenaprof in both environments"
            ) from None

    def _read_line(self, deadline: float) -> bytes | None:
        """The next line, b"" at the pipe's end, None past the deadline."""
        assert self._process.stdout is not None  # noqa: S101 -- opened with PIPE above
        descriptor = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    return None
                chunk = os.read(descriptor, 1 << 16)
                if not chunk:
                    return b""
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _death(self) -> Refused:
        """What the end of the process means, in words."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        tail = self._last_words()
        if code == -signal.SIGKILL and _oom_kills() > self._ooms:
            return Refused(
                Refusal(outcome=Outcome.OOM, reason="the system ran out of memory and killed the worker"),
                worker_lost=True,
            )
        name = _signal_name(-code) if code < 0 else f"exit status {code}"
        reason = f"the worker ended with {name}" + (f": {tail}" if tail else "")
        starved = code == -signal.SIGABRT and "std::bad_alloc" in tail  # thrown where no Python could catch it
        return Refused(Refusal(outcome=Outcome.OOM if starved else Outcome.CRASHED, reason=reason), worker_lost=True)

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return scrub(last_words(log.read().decode(errors="replace")))

    def close(self) -> None:
        """Ends the worker by closing its pipe, then by force whatever of it is left."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=CLOSE_LIMIT_S)
        self.kill()

    def kill(self) -> None:
        """Ends the worker and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def too_late(budget_s: float) -> WorkerError:
    """What is said where the budget ended before the first worker had started."""
    return WorkerError(
        f"no worker had started when the budget of {format_duration(budget_s)} ended",
        hint="give --budget more: a start takes some seconds",
    )


def last_words(log: str) -> str:
    """What a worker said last; of the dump that Python's faulthandler makes of a fatal signal, the innermost frame alone."""
    said, _, dump = log.rpartition(_DUMP) if _DUMP in log else (log, "", "")
    frames = [line.strip() for line in dump.partition("Current thread")[2].splitlines()]
    place = next((line for line in frames if line.startswith("File ")), "")
    words = [line.strip() for line in said.splitlines() if line.strip() and not _CHATTER.match(line)][-LOG_TAIL_LINES:]
    return " | ".join((*words, *filter(None, (place,))))


_DUMP = "Fatal Python error: "
_CHATTER = re.compile(r"(?:STAGE|USDT):[0-9]{4}-")
"""torch's profiler, which says when it starts and stops."""


def _start(side: Side, protocol: Protocol, log: Path, interpreter: Interpreter | None) -> subprocess.Popen[bytes]:
    python = interpreter.python if interpreter else side.python or sys.executable
    try:
        with log.open("ab") as stderr:
            return subprocess.Popen(
                [python, "-m", "hyenaprof.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(protocol, own=side.python is None, interpreter=interpreter),
                start_new_session=True,
            )
    except OSError as error:
        raise WorkerError(
            f"a worker of {side.operator}:{side.implementation} cannot be started: {error.strerror}",
            hint="give --python the path of a python executable",
        ) from None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no names
        return f"signal {number}"


def _environment(protocol: Protocol, *, own: bool, interpreter: Interpreter | None = None) -> dict[str, str]:
    found = interpreter.environment() if interpreter else importable(own=own)
    return found | worker_environment(protocol.allocator, protocol.threads)


def _oom_kills() -> int:
    """Processes the kernel has killed for memory since boot; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


class Workers:
    """Fresh workers for each round, as many alive at once as memory leaves room for; the one longest idle goes first.

    Args:
        device: As the user wrote it.
        protocol: Part of every worker's environment.
        log: File that takes what they print.
        interpreter: Given, it runs one worker that serves all sides.
    """

    def __init__(self, *, device: str, protocol: Protocol, log: Path, interpreter: Interpreter | None = None) -> None:
        self._interpreter = interpreter
        self._device = device
        self._protocol = protocol
        self._log = log
        self._alive: OrderedDict[Side, Worker] = OrderedDict()
        self._starts_s: list[float] = []
        self.room_bytes = 0.0
        """What living workers may keep in memory together; whatever it is, two may live."""

    @property
    def live(self) -> int:
        """How many may live at once, by what the largest of them keeps now."""
        return most_live(self.room_bytes, max((worker.resident_bytes for worker in self._alive.values()), default=0))

    @property
    def start_s(self) -> float:
        """Seconds that starting a worker has taken here, the median so far; 3 before the first."""
        starts = sorted(self._starts_s)
        return starts[len(starts) // 2] if starts else 3.0

    def get(self, side: Side, *, limit_s: float = START_LIMIT_S) -> Worker:
        """The side's worker of this round, started within the limit where there is none."""
        side = self._served_with(side)
        known = self._alive.get(side)
        if known is not None:
            self._alive.move_to_end(side)
        while len(self._alive) + (known is None) > self.live:
            self._alive.popitem(last=False)[1].close()
        if known is not None:
            return known
        begun = time.monotonic()
        worker = Worker(
            side,
            device=self._device,
            protocol=self._protocol,
            log=self._log,
            limit_s=limit_s,
            interpreter=self._interpreter,
        )
        self._starts_s.append(time.monotonic() - begun)
        self._alive[side] = worker
        return worker

    def _served_with(self, side: Side) -> Side:
        """The side under which its worker is known."""
        return side if self._interpreter is None else EVERY_SIDE

    def drop(self, side: Side) -> None:
        """Forgets a worker that is dead or not to be trusted any more."""
        worker = self._alive.pop(self._served_with(side), None)
        if worker is not None:
            worker.kill()

    def renew(self) -> None:
        """Ends all workers, so that the next round begins with fresh processes."""
        while self._alive:
            self._alive.popitem(last=False)[1].close()

    def kill(self) -> None:
        """Ends all workers at once."""
        while self._alive:
            self._alive.popitem(last=False)[1].kill()
