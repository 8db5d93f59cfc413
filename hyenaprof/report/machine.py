"""Crossovers and verdicts for machines: plain values with stable keys, lengths in tokens, times in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from hyenaprof.analysis.claims import ClaimResult
from hyenaprof.analysis.overview import CrossoverSentence, Outlook, Overview, outlook, predictions
from hyenaprof.analysis.scaling import Growth, Prediction, Scaling
from hyenaprof.model import Comparison, Curve, Flip
from hyenaprof.records.source import Source
from hyenaprof.report.words import finite

VERSION = 1
"""Of both forms: raised where a key changes its meaning or goes, not where one is added."""
SETTING = ("scope", "phase", "batch", "width", "heads", "dtype", "device")

Json = dict[str, object]


def as_json(form: Json) -> str:
    """One JSON object over several lines; what is not known is null."""
    return json.dumps(form, indent=2, ensure_ascii=False, allow_nan=False)


def overview_form(source: Source, held: Overview) -> Json:
    """Crossovers, growth and warnings of a run or a table.

    Args:
        source: Where the records are from.
        held: What they say.
    """
    return {
        "version": VERSION,
        "source": source.name,
        "crossovers": [_crossover(entry, held, source) for entry in held.told],
        "nothing": held.nothing,
        "scaling": [_scaling(scaling, held.names, source) for scaling in held.scalings],
        "warnings": list(source.warnings),
    }


def _setting(curve: Curve, source: Source) -> Json:
    """What the source states of a curve's setting; the rest is null."""
    values = {name: getattr(curve, name) for name in SETTING}
    return {
        name: (value if isinstance(value, int) else str(value)) if name in source.stated else None
        for name, value in values.items()
    }


def _crossover(entry: CrossoverSentence, held: Overview, source: Source) -> Json:
    found = entry.crossover
    return {
        "challenger": held.names[found.challenger.label],
        "incumbent": held.names[found.incumbent.label],
        "setting": _setting(found.challenger, source),
        "metric": found.metric,
        "state": str(found.state),
        "statement": entry.sentence,
        "changes": [_flip(flip, held.names) for flip in found.flips],
        "range": list(found.range) if found.range else None,
        "leads_throughout": held.names[found.winner] if found.winner else None,
        "equal_zone": list(found.equal_zone) if found.equal_zone else None,
        "reason": found.reason,
        "comparisons": [_comparison(comparison) for comparison in found.comparisons],
        "predicted_beyond": _outlook(outlook(found, held.scalings)),
        "warnings": list(found.warnings),
    }


def _flip(flip: Flip, names: Mapping[str, str]) -> Json:
    return {
        "length": flip.length,
        "low": finite(flip.low),
        "high": finite(flip.high),
        "bracket": list(flip.bracket),
        "significant_bracket": list(flip.significant),
        "leader_after": names[flip.leader_after],
    }


def _comparison(comparison: Comparison) -> Json:
    return {
        "length": comparison.length,
        "ratio": comparison.ratio,
        "low": finite(comparison.low),
        "high": finite(comparison.high),
        "rounds": comparison.rounds,
        "paired": comparison.paired,
    }


def _outlook(beyond: Outlook | None) -> Json | None:
    return None if beyond is None else {"challenger_leads_by": beyond.by, "reach": beyond.reach}


def _scaling(scaling: Scaling, names: Mapping[str, str], source: Source) -> Json:
    return {
        "operator": names[scaling.curve.label],
        "setting": _setting(scaling.curve, source),
        "growth": _growth(scaling.local),
        "growth_overall": _growth(scaling.overall),
        "fit_residual": finite(scaling.residual),
        "predictions": [_prediction(prediction) for prediction in predictions(scaling)],
        "warning": scaling.warning,
    }


def _growth(growth: Growth | None) -> Json | None:
    if growth is None:
        return None
    return {
        "exponent": growth.exponent,
        "low": finite(growth.low),
        "high": finite(growth.high),
        "lengths": list(growth.lengths),
    }


def _prediction(prediction: Prediction) -> Json:
    return {
        "length": prediction.length,
        "latency_s": finite(prediction.latency_s),
        "low_s": finite(prediction.low_s),
        "high_s": finite(prediction.high_s),
    }


def claims_form(source: Source, results: Iterable[ClaimResult]) -> Json:
    """Verdicts on published claims.

    Args:
        source: Where the records are from.
        results: Verdicts, one a claim and setting.
    """
    return {
        "version": VERSION,
        "source": source.name,
        "claims": [_claim(result, source) for result in results],
        "warnings": list(source.warnings),
    }


def _claim(result: ClaimResult, source: Source) -> Json:
    return {
        "source": result.file.name,
        "citation": result.file.source,
        "id": result.claim.id,
        "statement": result.claim.statement,
        "where": result.claim.where,
        "verdict": str(result.verdict),
        "published": result.published,
        "measured": result.measured,
        "reason": result.reason,
        "setting": _setting(result.curve, source) if result.curve else None,
        "unchecked": list(result.unchecked),
    }
