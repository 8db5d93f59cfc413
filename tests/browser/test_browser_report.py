"""The report's page in a real browser: nothing leaves the machine, nothing goes wrong on the console."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import make_run

from hyenaprof.report.render import render

pytestmark = pytest.mark.browser

# Without a sandbox, because containers run as root.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=3000",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What became of a page: its document after scripts ran, what the console said, what was asked of the network."""

    document: str
    console: list[str]
    requests: list[str]


def visit(chromium: str, page: Path, folder: Path) -> Visit:
    log = folder / "network.json"
    command = [
        *(chromium, *QUIET, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", page.as_uri()),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    said = re.findall(r"CONSOLE[^\]]*\] (.*)", result.stderr)
    asked = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
    # The browser's own services have no origin; whatever a page asks for has one, `null` for a page from a file.
    urls = {entry["url"] for entry in asked if entry.get("initiator", "not an origin") != "not an origin"}
    return Visit(result.stdout, said, sorted(url for url in urls if not url.startswith(("file:", "data:"))))


def test_the_page_opens_without_a_request_or_a_word_on_the_console(chromium, tmp_path):
    run = make_run(folder=tmp_path)
    page = next(path for path in render(run) if path.name == "report.html")
    seen = visit(chromium, page, tmp_path)
    assert seen.requests == []
    assert seen.console == []
    assert seen.document.count("<svg") == page.read_text(encoding="utf-8").count("<svg") > 0
    assert "hyena overtakes flash between 2048 and 4096" in seen.document


def test_a_page_that_asks_and_complains_would_be_noticed(chromium, tmp_path):
    page = tmp_path / "bad.html"
    picture = json.dumps("http://example.invalid/picture.png")
    page.write_text(f"<img src={picture}><script>console.error('broken')</script>", encoding="utf-8")
    seen = visit(chromium, page, tmp_path)
    assert seen.requests == ["http://example.invalid/picture.png"]
    assert any("broken" in line for line in seen.console)
