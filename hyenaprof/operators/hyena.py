"""Hyena: gated long convolutions with filters that a small network makes (Poli et al. 2023, arXiv:2302.10866)."""

from __future__ import annotations

from collections.abc import Mapping

from hyenaprof.model import OptionValue
from hyenaprof.operators.implicit_filter import ImplicitFilter
from hyenaprof.operators.long_convolution import LongConvolution


class Hyena(LongConvolution):
    """The paper's operator with the settings of its language models by default.

    Options:
        order: N, in the meaning of the authors' code: N gates and N - 1 long convolutions.
        embedding: E, positional features of the filter network; odd.
        frequency: Where the frequencies of its sines start.
        filter_width: W of the network.
        filter_depth: Its linear layers, the first and the last included.
        window: Whether taps decay exponentially.
        short_taps: Taps of the short filter.
        filter: `recomputed` in each call, or `cached` from the first call on: inference alone, with no backward pass.
    """

    def __init__(self, options: Mapping[str, OptionValue]) -> None:
        order = int(options["order"])
        super().__init__(
            options,
            order=order,
            short_taps=int(options["short_taps"]),
            keeping=str(options["filter"]),
            tap_maker=ImplicitFilter(
                orders=order - 1,
                embedding=int(options["embedding"]),
                frequency=float(options["frequency"]),
                width=int(options["filter_width"]),
                depth=int(options["filter_depth"]),
                window=bool(options["window"]),
            ),
        )
