"""The nouns: what is measured (Point), what came of it (journal lines), and what is derived from them.

What is written to disk is a frozen pydantic model; what lives in memory only is a frozen dataclass. Base units
everywhere: seconds, bytes, joules, tokens.
"""

from __future__ import annotations

from hyenaprof.model.lines import (
    LINES,
    SCHEMA_VERSION,
    CeilingsLine,
    CheckEntry,
    CheckLine,
    ChoiceLine,
    CostLine,
    DeviceState,
    EndLine,
    HeaderLine,
    JournalLine,
    Line,
    MemoryLine,
    SkipLine,
    Visit,
)
from hyenaprof.model.page import (
    Cell,
    Figure,
    Section,
    Table,
)
from hyenaprof.model.point import (
    Cost,
    Curve,
    DType,
    FactValue,
    Fingerprint,
    OnDisk,
    Options,
    OptionValue,
    Outcome,
    Phase,
    Point,
    Scope,
    Shape,
    label_of,
    stable_hash,
)
from hyenaprof.model.results import (
    Comparison,
    Crossover,
    CrossoverState,
    Flip,
    Record,
    Summary,
)

__all__ = [
    "LINES",
    "SCHEMA_VERSION",
    "CeilingsLine",
    "Cell",
    "CheckEntry",
    "CheckLine",
    "ChoiceLine",
    "Comparison",
    "Cost",
    "CostLine",
    "Crossover",
    "CrossoverState",
    "Curve",
    "DType",
    "DeviceState",
    "EndLine",
    "FactValue",
    "Figure",
    "Fingerprint",
    "Flip",
    "HeaderLine",
    "JournalLine",
    "Line",
    "MemoryLine",
    "OnDisk",
    "OptionValue",
    "Options",
    "Outcome",
    "Phase",
    "Point",
    "Record",
    "Scope",
    "Section",
    "Shape",
    "SkipLine",
    "Summary",
    "Table",
    "Visit",
    "label_of",
    "stable_hash",
]
