"""The operator's line of the table. hyenaprof reads it in processes that must not load torch: import nothing heavy."""

from hyenaprof.operators import Bounds, OperatorEntry

EMA = OperatorEntry(
    target="hyenaprof_ema.ema:Ema",
    implementations=("fft", "doubling"),  # the first is the plain one
    family="moving average",
    exponent=1.0,
    law="L log L",
    paper="none; an example",
    options={"steps": 64},
    bounds={"steps": Bounds(1, 65536)},
)
