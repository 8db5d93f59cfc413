"""`python -m hyenaprof.worker`: reads requests on stdin, answers on what was stdout, ends when the pipe closes.

The stream of answers is taken away before any library loads: what operators and libraries print, from Python or from
C, goes to stderr, which the parent sends to the worker's log.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from hyenaprof.pipe import Progress, Reply, Request
    from hyenaprof.worker.session import Session

_PR_SET_PDEATHSIG = 1
_PROGRESS_EVERY_S = 0.5
"""Seldom, since on a small machine a parent that wakes up takes a core from the samples."""


def take_pipe() -> tuple[TextIO, TextIO]:
    """Moves the pipe to descriptors of its own: stdin then reads nothing, and stdout is stderr."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, answers


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, and makes it the first to go when memory runs out.

    The signal follows the parent's thread that started this process, so that thread must outlive the worker.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)


class Progressing:
    """Sends a progress line at most twice a second.

    Args:
        answers: The pipe.
        request_id: The request under way.
    """

    def __init__(self, answers: TextIO, request_id: int) -> None:
        self._answers = answers
        self._id = request_id
        self._sent = float("-inf")

    def __call__(self, text: str, samples: int, last_s: float | None) -> None:
        """Reports what is being done, unless something was reported just now."""
        from hyenaprof.pipe import Progress

        now = time.monotonic()
        if now - self._sent >= _PROGRESS_EVERY_S:
            self._sent = now
            send(self._answers, Progress(id=self._id, text=text, samples=samples, last_s=last_s))


def send(answers: TextIO, message: Progress | Reply) -> None:
    """Writes one line."""
    answers.write(message.model_dump_json() + "\n")
    answers.flush()


def serve(session: Session, request: Request, answers: TextIO) -> Reply:
    """Answers one request: whatever goes wrong in an operator becomes a refusal with its reason."""
    from hyenaprof.pipe import Refusal, Reply
    from hyenaprof.worker.outcomes import attempt

    ended = attempt(lambda: session.answer(request.body, Progressing(answers, request.id)))
    if isinstance(ended, Refusal):
        return Reply(id=request.id, refusal=ended)
    return Reply(id=request.id, answer=ended)


def main() -> int:
    """Serves until the pipe closes."""
    requests, answers = take_pipe()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    faulthandler.enable()

    from hyenaprof.pipe import Request
    from hyenaprof.worker.session import Session

    session = Session()
    for line in requests:
        reply = settle(session, serve(session, Request.model_validate_json(line), answers))
        with contextlib.suppress(BrokenPipeError):
            send(answers, reply)
        if reply.last:
            return 1
    return 0


def settle(session: Session, reply: Reply) -> Reply:
    """Gives memory back before the reply is sent; marks the reply as the last where the device is broken."""
    device = session.device
    if device is None:
        return reply
    if reply.refusal is not None:
        gc.collect()  # an exception's frames hold tensors in cycles
        if not device.usable():
            return reply.model_copy(update={"last": True})
    device.release()
    return reply


if __name__ == "__main__":
    sys.exit(main())
