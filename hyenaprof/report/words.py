"""What things are called in prose and in cells: scopes, phases, devices, numbers that may not be known."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hyenaprof.analysis.scaling import Growth, Prediction
from hyenaprof.model import Comparison, Fingerprint, Phase, Scope, Summary
from hyenaprof.units import UNKNOWN, format_latency, format_ratio

SCOPE_WORDS: dict[Scope, str] = {
    Scope.CORE: "the mixing alone, from what the input projections give to what the output projection takes; taps, "
    "kernels and decays made from parameters are inputs, made outside",
    Scope.LAYER: "the whole layer: projections, short filter, filter generation and mixing; for attention the QKV and "
    "output projections and the kernel",
    Scope.BLOCK: "the whole block: norm, mixer, MLP and residual",
}
SCOPE_SHORT: dict[Scope, str] = {
    Scope.CORE: "mixing alone, no projections",
    Scope.LAYER: "projections, filters and mixing",
    Scope.BLOCK: "norm, mixer, MLP, residual",
}
PHASE_WORDS: dict[Phase, str] = {
    Phase.FORWARD: "forward pass, no gradient kept",
    Phase.BACKWARD: "backward pass alone, from the output's gradient to every input's and weight's",
    Phase.TRAINING: "forward and backward pass of one iteration",
    Phase.DECODE: "one new token after L",
}
_DEVICE_KEYS = {
    "cuda": ("gpu", "gpu_name", "device_name", "name", "model"),
    "cpu": ("cpu", "cpu_model", "cpu_name", "model_name", "model", "name"),
}


def device_name(fingerprints: Iterable[Fingerprint], kind: str) -> str:
    """Names the device of a kind as the fingerprints have it; the kind itself where they do not."""
    names = dict.fromkeys(
        str(fingerprint.machine[key])
        for fingerprint in fingerprints
        for key in [next((k for k in _DEVICE_KEYS.get(kind, ()) if fingerprint.machine.get(k)), "")]
        if key
    )
    return " and ".join(names) or kind


def begun(text: str) -> str:
    """The text with its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def finite(value: float | None) -> float | None:
    """A number that is known and finite, else None."""
    return value if value is not None and math.isfinite(value) else None


def grouped(warnings: Iterable[str]) -> dict[str, list[str]]:
    """Warnings by their kind, which is what stands before the first colon; details each once, in order."""
    kinds: dict[str, list[str]] = {}
    for warning in dict.fromkeys(warnings):
        kind, _, detail = warning.partition(": ")
        kinds.setdefault(kind, []).append(detail)
    return kinds


def brief(kind: str, details: list[str]) -> str:
    """A kind of warning with its first detail, and how many more there are."""
    first = f"{kind}: {details[0]}" if details[0] else kind
    return first if len(details) == 1 else f"{first} (and {len(details) - 1} more like it)"


def latency_interval(summary: Summary) -> str:
    """`12.3 ms [12.1, 12.6]`, the interval in the median's unit; without it where it is not known."""
    median = format_latency(finite(summary.median_s))
    low, high = finite(summary.low_s), finite(summary.high_s)
    return median if low is None or high is None else f"{median} {_bracket_latency(summary.median_s, low, high)}"


def latency_bounds(summary: Summary, *, unit: bool = True) -> str:
    """`[12.1, 12.6] ms` in the median's unit, or a dash below two visits."""
    low, high = finite(summary.low_s), finite(summary.high_s)
    if low is None or high is None:
        return UNKNOWN
    return _bracket_latency(summary.median_s, low, high) + (f" {_unit(summary.median_s)}" if unit else "")


def interval_latency(low_s: float, high_s: float) -> str:
    """`[10.8, 56.7] ms`, in the lower end's unit."""
    return f"{_bracket_latency(low_s, low_s, high_s)} {_unit(low_s)}"


def predicted_latency(prediction: Prediction | None) -> str:
    """`~31 ms [10.8, 56.7]`, or `[10.8, 56.7] ms` where no point may be predicted; ~ marks it as no measurement."""
    if prediction is None:
        return UNKNOWN
    middle_s, low_s, high_s = prediction.latency_s, prediction.low_s, prediction.high_s
    if middle_s is None:
        return interval_latency(low_s, high_s)
    return f"~{format_latency(middle_s)} {_bracket_latency(middle_s, low_s, high_s)}"


def exponent_interval(growth: Growth | None) -> str:
    """`L^1.98 [1.88, 2.08]`, or `L^1.98 –` where single values give no interval."""  # noqa: RUF002 -- UNKNOWN
    if growth is None:
        return UNKNOWN
    exponent = f"L^{_hundredths(growth.exponent)}"
    if growth.low is None or growth.high is None:
        return f"{exponent} {UNKNOWN}"
    return f"{exponent} [{_hundredths(growth.low)}, {_hundredths(growth.high)}]"


def _hundredths(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def _unit(latency_s: float) -> str:
    return format_latency(latency_s).partition(" ")[2]


def _bracket_latency(median_s: float, low_s: float, high_s: float) -> str:
    size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[_unit(median_s)]
    return f"[{_digits(low_s / size)}, {_digits(high_s / size)}]"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def ratio_interval(comparison: Comparison | None) -> str:
    """`1.84x [1.79, 1.90]`, with `~` before it where the interval covers no difference."""
    if comparison is None or finite(comparison.ratio) is None:
        return UNKNOWN
    text = format_ratio(comparison.ratio)
    low, high = finite(comparison.low), finite(comparison.high)
    if low is None or high is None:
        return text
    undecided = "" if comparison.leader else "~ "
    return f"{undecided}{text} [{_digits(low)}, {_digits(high)}]"
