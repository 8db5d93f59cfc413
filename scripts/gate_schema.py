"""Writes hyenaprof/report/gate.schema.json: the JSON Schema of what `hyenaprof gate --json` writes."""

from __future__ import annotations

import json
from pathlib import Path

from hyenaprof.report.verdict_files import SCHEMA_VERSION, GateDocument

TARGET = Path(__file__).parent.parent / "hyenaprof" / "report" / "gate.schema.json"


def schema_text() -> str:
    """The schema as it stands in the file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **GateDocument.model_json_schema(mode="serialization"),
        "title": f"What hyenaprof gate --json writes, schema version {SCHEMA_VERSION}",
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(schema_text(), encoding="utf-8")
