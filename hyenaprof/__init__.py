"""hyenaprof: at which sequence length does a subquadratic operator overtake attention, on this hardware?

The public library is `measure` and `load`; everything else may change between versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hyenaprof.library import LoadedRun, Measurement, load, measure

__version__ = "0.1.0"
__all__ = ["LoadedRun", "Measurement", "load", "measure"]


def __getattr__(name: str) -> object:
    """Loads the library on first use, so that `import hyenaprof` has no effect and costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hyenaprof import library

    return getattr(library, name)
