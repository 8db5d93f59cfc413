"""Conv1d: the layer with short filters, each tap of each channel learned."""

from __future__ import annotations

from collections.abc import Mapping

from hyenaprof.model import OptionValue
from hyenaprof.operators.explicit_taps import ExplicitTaps
from hyenaprof.operators.long_convolution import FilterVariant


class Conv1d(FilterVariant):
    """Explicit filters of 64 taps, as in the Hyena paper's comparison (Poli et al. 2023, arXiv:2302.10866, 4.1).

    Options:
        taps: K.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> ExplicitTaps:
        """K taps a channel."""
        return ExplicitTaps(most_taps=int(options["taps"]))
