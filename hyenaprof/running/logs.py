"""The workers' log: what they print as they work and as they die, kept without paths and names."""

from __future__ import annotations

from pathlib import Path

from hyenaprof.scrub import scrub


def scrub_log(log: Path) -> None:
    """Takes paths and names out of a log; workers write it themselves, some of it as they die."""
    if not log.is_file():
        return
    text = log.read_text(encoding="utf-8", errors="replace")
    clean = scrub(text)
    if clean != text:
        whole = log.with_name(f"{log.name}.part")
        whole.write_text(clean, encoding="utf-8")
        whole.replace(log)
