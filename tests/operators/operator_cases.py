"""What the contract is held against: every operator, and each piece of code that several share once.

A filter variant has Hyena's layer and is given its taps in core scope, so there is nothing of its own in a core, and in a
layer only what makes its taps: whole, and a few channels at a time. Short filters go other ways, which conv1d stands for.
"""

from hyenaprof.model import Scope
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import load
from hyenaprof.operators.long_convolution import FilterVariant

ALIKE = [name for name in OPERATORS if isinstance(load(name, {}), FilterVariant) and name != "conv1d"]
IMPLEMENTATIONS = [
    (name, implementation)
    for name, entry in OPERATORS.items()
    for implementation in entry.implementations
    if name not in ALIKE or implementation in {entry.implementations[0], "chunked"}
]
CASES = [
    (name, implementation, scope)
    for name, implementation in IMPLEMENTATIONS
    for scope in (Scope.CORE, Scope.LAYER)
    if scope is Scope.LAYER or name not in ALIKE
]
SIZES = [(1, 1, 1), (3, 2, 1), (1, 3, 1), (2, 61, 2), (3, 63, 1), (1, 128, 2)]
"""(batch, length, threads)."""
FEW_SIZES = [(3, 2, 1), (2, 61, 2)]


def sizes_of(name):
    """Those that an operator is checked at; test_filters.py and test_state_space.py have other lengths for taps."""
    return SIZES if OPERATORS[name].family == "attention" or name == "hyena" else FEW_SIZES
