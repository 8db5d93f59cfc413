"""Hyena-SE of StripedHyena 2: filters of seven explicit taps, for short-range recall."""

from __future__ import annotations

from collections.abc import Mapping

from hyenaprof.model import OptionValue
from hyenaprof.operators.explicit_taps import ExplicitTaps
from hyenaprof.operators.long_convolution import FilterVariant


class HyenaSE(FilterVariant):
    """Short explicit filters (Ku et al. 2025, arXiv:2503.01868): 7 taps, each filter for 16 channels, as in Evo 2.

    Options:
        taps: K.
        group: Neighbouring channels that share a filter.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> ExplicitTaps:
        """K taps a group."""
        return ExplicitTaps(most_taps=int(options["taps"]), group=int(options["group"]))
