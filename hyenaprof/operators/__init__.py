"""The table of operators: literal strings that import nothing, so that the parent may read it without torch."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hyenaprof.errors import ScenarioError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OptionDefault = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers that an option may be.

    Attributes:
        least: The smallest.
        most: The largest.
        odd: Whether it must be odd.
    """

    least: float
    most: float
    odd: bool = False

    def holds(self, value: float) -> bool:
        """Whether the value may be given."""
        return self.least <= value <= self.most and not (self.odd and value % 2 == 0)

    def __str__(self) -> str:
        """`3 to 1025, odd`."""
        return f"{self.least:g} to {self.most:g}" + (", odd" if self.odd else "")


@dataclass(frozen=True, slots=True)
class OperatorEntry:
    """One operator: where its class is, what it can be run as, and what is known of it.

    Attributes:
        target: `module:Class` of the `Operator`.
        implementations: Names in the order in which they are shown; the first is the plain one.
        family: What it belongs to: long convolution, attention, ...
        exponent: Growth of time with L in the limit of long sequences.
        paper: Title and arXiv number.
        options: Every option with its default; an unknown one is an error.
        install: The exact install line of each implementation that needs more than the package's own dependencies.
        bounds: What the options that are numbers may be; one that is not named here may be anything of its type.
        choices: What the options that are words may be; one that is not named here may be any word.
        scopes: What can be timed of it.
        law: The growth in full where it is more than a power of L, as `L log L`.
    """

    target: str
    implementations: tuple[str, ...]
    family: str
    exponent: float
    paper: str
    options: Mapping[str, OptionDefault] = field(default_factory=dict)
    install: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scopes: tuple[str, ...] = ("core", "layer")
    law: str = ""

    @property
    def growth(self) -> str:
        """How time grows: `L log L`, `L^2`."""
        return self.law or f"L^{self.exponent:g}"

    def option_words(self, option: str) -> str:
        """An option with its default and what else it may be: `order=2 (2 to 64)`, `filter=recomputed (or cached)`."""
        default = self.options[option]
        if isinstance(default, bool):
            return f"{option}={str(default).lower()} (or {str(not default).lower()})"
        others = [choice for choice in self.choices.get(option, ()) if choice != default]
        allowed = f"or {', '.join(others)}" if others else str(self.bounds.get(option, ""))
        return f"{option}={default}" + (f" ({allowed})" if allowed else "")


# The build of flash-attn 2 imports torch and calls nvcc, so what it needs comes first and it sees the environment.
_FLASH_ATTN_2 = (
    "pip install setuptools wheel packaging ninja psutil && pip install --no-build-isolation 'flash-attn>=2.7'"
)
_FLASH_ATTN_3 = "from a checkout of github.com/Dao-AILab/flash-attention: cd hopper && python setup.py install"
_FLASH_ATTN_4 = "pip install 'flash-attn-4>=4.0.0b30' (with CUDA 13: 'flash-attn-4[cu13]>=4.0.0b30')"
_FLASHFFTCONV = (
    "from a checkout of github.com/HazyResearch/flash-fft-conv: "
    "pip install --no-build-isolation einops ./csrc/flashfftconv ."
)
_SUBQUADRATIC_OPS = "pip install subquadratic-ops-torch-cu13 (or -cu12; NVIDIA's own licence, which you accept by it)"

_KEEPING = {"filter": ("recomputed", "cached")}
_OF_LONG_FILTERS = ("fft", "chunked", "native", "compiled", "flashfftconv", "subq", "fla")
_OF_SHORT_FILTERS = ("direct", "fft", "chunked", "native")
_LIBRARIES = {"flashfftconv": _FLASHFFTCONV, "subq": _SUBQUADRATIC_OPS, "fla": "pip install 'fla-core>=0.6'"}
_STRIPED_HYENA_2 = "Ku et al. 2025, Convolutional Multi-Hybrid Language Models at Scale, arXiv:2503.01868"


def _variant(
    target: str, paper: str, options: dict[str, OptionDefault], bounds: dict[str, Bounds], *, short: bool = False
) -> OperatorEntry:
    """Hyena's layer of order 2 with another filter; all of them are run alike."""
    return OperatorEntry(
        target=f"hyenaprof.operators.{target}",
        implementations=_OF_SHORT_FILTERS if short else _OF_LONG_FILTERS,
        family="short convolution" if short else "long convolution",
        exponent=1.0,
        law="" if short else "L log L",
        paper=paper,
        options={**options, "short_taps": 3, "filter": "recomputed"},
        install={} if short else _LIBRARIES,
        bounds={**bounds, "short_taps": Bounds(1, 1024)},
        choices=_KEEPING,
    )


OPERATORS: dict[str, OperatorEntry] = {
    "hyena": OperatorEntry(
        target="hyenaprof.operators.hyena:Hyena",
        implementations=("fft", "chunked", "native", "compiled", "flashfftconv", "subq", "fla"),
        family="long convolution",
        exponent=1.0,
        law="L log L",
        paper="Poli et al. 2023, Hyena Hierarchy, arXiv:2302.10866",
        options={
            "order": 2,
            "embedding": 33,
            "frequency": 14.0,
            "filter_width": 64,
            "filter_depth": 4,
            "window": True,
            "short_taps": 3,
            "filter": "recomputed",
        },
        install=_LIBRARIES,
        bounds={
            "order": Bounds(2, 64),
            "embedding": Bounds(3, 1025, odd=True),
            "frequency": Bounds(1e-3, 1e3),
            "filter_width": Bounds(1, 8192),
            "filter_depth": Bounds(2, 64),
            "short_taps": Bounds(1, 1024),
        },
        choices=_KEEPING,
    ),
    "flash": OperatorEntry(
        target="hyenaprof.operators.attention:FlashAttention",
        implementations=("sdpa", "cudnn", "efficient", "fa2", "fa3", "fa4", "sdpa-fa3", "sdpa-fa4", "flex"),
        family="attention",
        exponent=2.0,
        paper="Dao 2023, FlashAttention-2, arXiv:2307.08691",
        install={
            "fa2": _FLASH_ATTN_2,
            "fa3": _FLASH_ATTN_3,
            "fa4": _FLASH_ATTN_4,
            "sdpa-fa3": _FLASH_ATTN_3,
            "sdpa-fa4": _FLASH_ATTN_4,
        },
    ),
    "attention": OperatorEntry(
        target="hyenaprof.operators.attention:StandardAttention",
        implementations=("math",),
        family="attention",
        exponent=2.0,
        paper="Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    ),
    "h3": OperatorEntry(
        target="hyenaprof.operators.h3:H3",
        implementations=("fft", "chunked"),
        family="state space",
        exponent=1.0,
        law="L log L",
        paper="Fu et al. 2022, Hungry Hungry Hippos, arXiv:2212.14052",
        options={"states": 64, "shift_states": 64},
        bounds={"states": Bounds(2, 1024), "shift_states": Bounds(1, 1024)},
    ),
    "s4d": OperatorEntry(
        target="hyenaprof.operators.s4d:S4D",
        implementations=("fft", "chunked"),
        family="state space",
        exponent=1.0,
        law="L log L",
        paper="Gu et al. 2022, On the Parameterization and Initialization of Diagonal State Space Models, arXiv:2206.11893",
        options={"states": 64},
        bounds={"states": Bounds(2, 1024)},
    ),
    "s4": OperatorEntry(
        target="hyenaprof.operators.s4:S4",
        implementations=("fft", "chunked"),
        family="state space",
        exponent=1.0,
        law="L log L",
        paper="Gu et al. 2021, Efficiently Modeling Long Sequences with Structured State Spaces, arXiv:2111.00396",
        options={"states": 64},
        bounds={"states": Bounds(2, 256)},
    ),
    "ckconv": _variant(
        "ckconv:CKConv",
        "Romero et al. 2021, CKConv, arXiv:2102.02611",
        {"filter_width": 32, "frequency": 30.0},
        {"filter_width": Bounds(1, 8192), "frequency": Bounds(1e-3, 1e3)},
    ),
    "sgconv": _variant(
        "sgconv:SGConv",
        "Li et al. 2022, What Makes Convolutional Models Great on Long Sequence Modeling?, arXiv:2210.09298",
        {"values": 64},
        {"values": Bounds(1, 65536)},
    ),
    "longconv": _variant(
        "longconv:LongConv",
        "Fu et al. 2023, Simple Hardware-Efficient Long Convolutions, arXiv:2302.06646",
        {"threshold": 0.001},
        {"threshold": Bounds(0, 1)},
    ),
    "fno": _variant(
        "fno:FNO",
        "Li et al. 2020, Fourier Neural Operator, arXiv:2010.08895",
        {"modes": 64},
        {"modes": Bounds(1, 65536)},
    ),
    "rtf": _variant(
        "rtf:RTF",
        "Parnichkun et al. 2024, State-Free Inference of State-Space Models, arXiv:2405.06147",
        {"states": 64},
        {"states": Bounds(1, 8192)},
    ),
    "hyena-li": _variant("hyena_li:HyenaLI", _STRIPED_HYENA_2, {"states": 16}, {"states": Bounds(1, 1024)}),
    "conv1d": _variant(
        "conv1d:Conv1d",
        "Poli et al. 2023, Hyena Hierarchy, section 4.1, arXiv:2302.10866",
        {"taps": 64},
        {"taps": Bounds(1, 1024)},
        short=True,
    ),
    "hyena-se": _variant(
        "hyena_se:HyenaSE",
        _STRIPED_HYENA_2,
        {"taps": 7, "group": 16},
        {"taps": Bounds(1, 1024), "group": Bounds(1, 65536)},
        short=True,
    ),
    "hyena-mr": _variant(
        "hyena_mr:HyenaMR",
        _STRIPED_HYENA_2,
        {"taps": 128, "group": 16},
        {"taps": Bounds(1, 1024), "group": Bounds(1, 65536)},
        short=True,
    ),
}


@functools.cache
def operator_table() -> Mapping[str, OperatorEntry]:
    """The table with the entries that installed packages add by the entry point group `hyenaprof.operators`.

    An entry point's object is an `OperatorEntry` in a module that imports no torch; it cannot replace an entry of ours.
    One that cannot be loaded is left out: somebody's broken package is an error only where its operator is named.
    """
    added: dict[str, OperatorEntry] = {}
    for point in _entry_points():
        with contextlib.suppress(ScenarioError):
            added[point.name] = _loaded(point)
    return {**added, **OPERATORS}


def _entry_points() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points

    return entry_points(group="hyenaprof.operators")


def _loaded(point: EntryPoint) -> OperatorEntry:
    hint = f"repair or remove the package that declares {point.value!r}"
    try:
        entry = point.load()
    except (ImportError, AttributeError) as error:
        raise ScenarioError(f"operator {point.name!r} cannot be loaded: {error}", hint=hint) from None
    if not isinstance(entry, OperatorEntry):
        raise ScenarioError(f"operator {point.name!r} is no OperatorEntry", hint=hint)
    return entry


def entry_of(name: str) -> OperatorEntry:
    """Looks an operator up in the table.

    Raises:
        ScenarioError: No such operator, the hint naming the nearest; or one whose package is broken.
    """
    if name in OPERATORS:
        return OPERATORS[name]
    table = operator_table()
    if name not in table:
        for point in _entry_points():
            if point.name == name:
                return _loaded(point)
        raise ScenarioError(f"no operator {name!r}", hint=did_you_mean(name, table))
    return table[name]
