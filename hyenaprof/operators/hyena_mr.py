"""Hyena-MR of StripedHyena 2: filters of 128 explicit taps under an exponential decay."""

from __future__ import annotations

from collections.abc import Mapping

from hyenaprof.model import OptionValue
from hyenaprof.operators.explicit_taps import ExplicitTaps
from hyenaprof.operators.long_convolution import FilterVariant


class HyenaMR(FilterVariant):
    """Medium regularised filters (Ku et al. 2025, arXiv:2503.01868): 128 taps, each filter for 16 channels, as in Evo 2.

    The decay is that of the authors' `strong` preset; their further factor of 1e-5 on the first taps is left out, since
    it would only hide the filter from every check.

    Options:
        taps: K.
        group: Neighbouring channels that share a filter.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> ExplicitTaps:
        """K decaying taps a group."""
        return ExplicitTaps(most_taps=int(options["taps"]), group=int(options["group"]), decaying=True)
