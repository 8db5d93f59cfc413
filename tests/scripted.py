"""Workers that are scripts: they speak the pipe, load nothing, and do what a test orders, in about 30 ms."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import make_fingerprint

from hyenaprof.pipe import PIPE_VERSION

_ANSWERS = """
import json, os, signal, subprocess, sys, time

SETTINGS = json.loads({settings!r})
if "MALLOC_MMAP_MAX_" not in os.environ:
    SETTINGS.update(SETTINGS["under_default"])
FINGERPRINT = SETTINGS["hello"]["fingerprint_id"]
HELLO = {{key: value for key, value in SETTINGS["hello"].items() if key != "fingerprint_id"}}

def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()

def progress(request, text):
    say(json.dumps({{"kind": "progress", "id": request["id"], "text": text}}) + "\\n")

def reply(request, answer=None, refusal=None):
    say(json.dumps({{"kind": "reply", "id": request["id"], "answer": answer, "refusal": refusal}}) + "\\n")

def note(request):
    with open(SETTINGS["log"], "a", encoding="utf-8") as log:
        log.write(json.dumps({{"pid": os.getpid(), **request["body"]}}) + "\\n")

def points_of(body):
    return body["points"] if "points" in body else [body["point"]] if "point" in body else []

def call_s(point):
    name = point["operator"] + ":" + point["implementation"]
    law = SETTINGS["laws"].get(name, SETTINGS["laws"].get(point["operator"], [1e-6, 1.0]))
    phase = {{"forward": 1.0, "backward": 2.0, "training": 3.0}}[point["phase"]]
    return phase * law[0] * point["shape"]["length"] ** law[1]

def cost(point):
    need = SETTINGS["need_bytes_per_token"].get(point["operator"], 1) * point["shape"]["length"]
    return {{"flops": 2e10 * call_s(point), "bytes": 1.0, "need_bytes": need, "source": "script"}}

def visit(point, body):
    wobble = SETTINGS["wobble"][body["round"] % len(SETTINGS["wobble"])]
    return {{
        "kind": "visit", "point": point, "round": body["round"], "order": body["order"], "outcome": "ok",
        "latency_s": [call_s(point) * wobble * factor for factor in (1.0, 1.0005, 0.9995)],
        "started_at": time.time(), "fingerprint_id": FINGERPRINT, "energy_j": SETTINGS["energy_j"],
    }}

def answer(body):
    verb, points = body["verb"], points_of(body)
    if verb == "hello":
        return HELLO
    if verb == "describe":
        return {{"costs": [cost(point) for point in points], "cautions": SETTINGS["cautions"]}}
    if verb == "verify":
        operator, implementation = points[0]["operator"], points[0]["implementation"]
        errors = SETTINGS["errors"]
        error = errors.get(operator + ":" + implementation, errors.get(operator, 0.0))
        entries = [{{"quantity": "output", "error": error, "tolerance": 1e-5}}]
        check = {{"kind": "check", "point": points[0], "method": "float64 definition", "entries": entries}}
        return {{"check": {{**check, "fingerprint_id": FINGERPRINT}}}}
    if verb == "availability":
        return {{"statuses": []}}
    if verb == "ceilings":
        return {{"line": {{"kind": "ceilings", "device": "fake", "fingerprint_id": FINGERPRINT}}}}
    if verb == "measure":
        time.sleep(SETTINGS["measure_s"])
    if verb == "memory":
        line = {{"kind": "memory", "peak_bytes": 1000, "method": "script", "fingerprint_id": FINGERPRINT}}
        return {{"lines": [{{**line, "point": point}} for point in points], "elapsed_s": call_s(points[-1])}}
    return {{"visits": [visit(point, body) for point in points]}}

def ordered(request):
    body = request["body"]
    for fault in SETTINGS["faults"]:
        points = points_of(body)
        if fault["verb"] != body["verb"] or body.get("round", 0) < fault.get("from_round", 0):
            continue
        if points and (
            fault.get("operator", points[0]["operator"]) != points[0]["operator"]
            or fault.get("implementation", points[0]["implementation"]) != points[0]["implementation"]
            or fault.get("phase", points[0]["phase"]) != points[0]["phase"]
            or points[0]["shape"]["length"] < fault.get("from_length", 0)
            or body.get("at_length", False) != fault.get("at_length", body.get("at_length", False))
        ):
            continue
        return fault
    return None

def carry_out(request, fault):
    if "says" in fault:
        print(fault["says"], file=sys.stderr, flush=True)
    kind = fault["kind"]
    if kind == "refuse":
        return reply(request, refusal={{"outcome": fault["outcome"], "reason": fault["reason"]}})
    if kind == "signal":
        os.kill(os.getpid(), fault["number"])
    if kind == "exit":
        os._exit(fault["status"])
    if kind == "write":
        return say(fault["text"])
    if kind == "reply":
        return reply(request, answer=fault["answer"])
    if kind == "pieces":
        whole = json.dumps({{"kind": "reply", "id": request["id"], "answer": answer(request["body"])}}) + "\\n"
        for start in range(0, len(whole), 100):
            say(whole[start:start + 100])
        return None
    child = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"])
    progress(request, str(child.pid))
    if kind == "hang":
        while True:
            time.sleep(60)
    return reply(request, answer=answer(request["body"]))

for line in sys.stdin:
    request = json.loads(line)
    note(request)
    fault = ordered(request)
    if fault is None:
        progress(request, request["body"]["verb"])
        reply(request, answer=answer(request["body"]))
    else:
        carry_out(request, fault)
"""


@dataclass(frozen=True)
class Script:
    """A worker's script and what it was asked.

    Attributes:
        path: To be given as an interpreter.
        log: Requests, one JSON object a line, with the worker's process id.
    """

    path: Path
    log: Path

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Bodies of all requests so far, in order."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def asked(self, verb: str) -> list[dict[str, Any]]:
        """Bodies of the requests of one kind."""
        return [body for body in self.requests if body["verb"] == verb]


@dataclass(frozen=True)
class Orders:
    """What a script does.

    Attributes:
        laws: Seconds of a forward call by operator or implementation: factor and power of the length.
        faults: What goes wrong: `verb`, `kind` and whatever the kind needs; the first that fits is carried out.
        errors: What verification finds, by operator or by `operator:implementation`.
        need_bytes_per_token: Analytic need by operator.
        energy_j: Joules per call of every visit.
        measure_s: Seconds that a visit takes, whatever it says that its calls took.
        cautions: What is said of every point that is described.
        wobble: By what factor the visits of each round differ from the law, in turn.
        hello: Fields of the first answer that differ.
        default_laws: Laws under glibc's own allocator setting, with a fingerprint that tells so; the same unless given.
    """

    laws: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: tuple[dict[str, Any], ...] = ()
    errors: dict[str, float] = field(default_factory=dict)
    need_bytes_per_token: dict[str, int] = field(default_factory=dict)
    energy_j: float | None = None
    measure_s: float = 0.0
    cautions: tuple[str, ...] = ()
    wobble: tuple[float, ...] = (1.0, 1.001, 0.999, 1.002, 0.998)
    hello: dict[str, Any] = field(default_factory=dict)
    default_laws: dict[str, tuple[float, float]] = field(default_factory=dict)


def write_script(folder: Path, orders: Orders | None = None, *, name: str = "worker") -> Script:
    """Writes a script that carries orders out."""
    path, log = folder / name, folder / f"{name}.requests"
    # -I -S: neither the environment nor installed packages, so that it starts at once.
    path.write_text(f"#!{sys.executable} -IS\n{script_of(orders, log)}", encoding="utf-8")
    path.chmod(0o755)
    return Script(path, log)


def write_site(folder: Path, orders: Orders | None = None, *, first: str = "") -> Path:
    """Writes a folder for PYTHONPATH under which every worker of an ordinary interpreter is a script.

    Args:
        folder: Where it is made.
        orders: What the script does.
        first: Code that runs in a worker before the script, and may change its text `source`.
    """
    site = folder / "site"
    site.mkdir(parents=True, exist_ok=True)
    source = script_of(orders, folder / "site.requests")
    lines = (
        "import os, sys",
        'if sys.orig_argv[1:] == ["-m", "hyenaprof.worker"]:',
        f"    source = {source!r}",
        *(f"    {line}" for line in first.splitlines()),
        '    exec(compile(source, "worker", "exec"), {"__name__": "__main__"})',
        "    os._exit(0)",
    )
    (site / "sitecustomize.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return site


def script_of(orders: Orders | None, log: Path) -> str:
    """The source of a script that carries orders out and keeps what it was asked in a log."""
    carried = orders or Orders()
    fingerprint = make_fingerprint()
    hello = {
        "pipe_version": PIPE_VERSION,
        "hyenaprof": "0.1.0",
        "fingerprint": fingerprint.model_dump(mode="json"),
        "fingerprint_id": fingerprint.id,
        "device_kind": "fake",
        "available_bytes": 2**30,
        "threads": 2,
        **carried.hello,
    }
    settings = json.dumps(
        {
            "hello": hello,
            "log": str(log),
            "laws": carried.laws,
            "faults": carried.faults,
            "errors": carried.errors,
            "need_bytes_per_token": carried.need_bytes_per_token,
            "under_default": _under_default(carried, hello),
            "energy_j": carried.energy_j,
            "measure_s": carried.measure_s,
            "cautions": carried.cautions,
            "wobble": carried.wobble,
        }
    )
    return _ANSWERS.format(settings=settings)


def _under_default(orders: Orders, hello: dict[str, Any]) -> dict[str, Any]:
    """What differs for a worker that was started with glibc's own allocator setting."""
    if not orders.default_laws:
        return {}
    own = make_fingerprint()
    fingerprint = own.model_copy(update={"protocol": {**own.protocol, "allocator": "default"}})
    told = {"fingerprint": fingerprint.model_dump(mode="json"), "fingerprint_id": fingerprint.id}
    return {"hello": {**hello, **told}, "laws": orders.default_laws}
