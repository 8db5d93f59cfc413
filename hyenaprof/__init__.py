"""hyenaprof: at which sequence length does a subquadratic operator overtake attention, on this hardware?"""

from __future__ import annotations

__version__ = "0.1.0"
