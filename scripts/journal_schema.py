"""Writes hyenaprof/records/journal.schema.json: the JSON Schema of one journal line, for readers that are not Python."""

from __future__ import annotations

import json
from pathlib import Path

from hyenaprof.model import LINES, SCHEMA_VERSION

TARGET = Path(__file__).parent.parent / "hyenaprof" / "records" / "journal.schema.json"


def schema_text() -> str:
    """The schema as it stands in the file, its version being that of the journal's header lines."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of hyenaprof's journal.jsonl, schema version {SCHEMA_VERSION}",
        **LINES.json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(schema_text(), encoding="utf-8")
