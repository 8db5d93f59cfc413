"""The stages between the transforms in C++, one pass each: built at run time where a compiler is found.

`native.cpp` is compiled for this very CPU in about half a second and loaded into the process; nothing stays on disk. It
runs on torch's own OpenMP threads: its OpenMP calls are left unresolved and meet the runtime that torch has loaded.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.operators.chunked import ChunkGradients, ChunkWeights, Cut, Workspace

SOURCE = Path(__file__).with_name("native.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp")
SHORT_TAPS = 3
"""Taps of the short filter that the code is written for."""
_NOTHING = (ctypes.c_void_p(None), ctypes.c_int64(0))


@cache
def native_code() -> ctypes.CDLL:
    """Compiles and loads `native.cpp`, once a process.

    Raises:
        Unsupported: No compiler, or it or the loader refuses, in its own words.
    """
    compiler = os.environ.get("CXX") or next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        raise Unsupported(f"no C++ compiler: neither $CXX nor {', '.join(COMPILERS)} is there")
    with tempfile.TemporaryDirectory(prefix="hyenaprof-") as folder:
        compiled, linked = Path(folder, "native.o"), Path(folder, "native.so")
        _run(compiler, *FLAGS, "-c", str(SOURCE), "-o", str(compiled))
        # Linked without OpenMP: torch's runtime is in the process already, and a second one would fight it for the cores.
        _run(compiler, "-shared", str(compiled), "-o", str(linked))
        try:
            return ctypes.CDLL(str(linked))
        except OSError as error:
            raise Unsupported(f"the compiled code cannot be loaded: {error}") from error


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unsupported(f"the C++ compiler cannot be run: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unsupported(f"the C++ compiler refuses: {said[0]}")


def _rows(tensor_CL: Tensor) -> tuple[ctypes.c_void_p, ctypes.c_int64]:
    """Address of the first row, and elements from one row to the next."""
    return ctypes.c_void_p(tensor_CL.data_ptr()), ctypes.c_int64(tensor_CL.stride(0))


class NativeWorkspace(Workspace):
    """A workspace whose streams are never written down: each stage filters what it reads."""

    def __init__(self, cut: Cut, order: int) -> None:
        super().__init__(cut, order)
        self._code = native_code()

    def adjoint(self, weights: ChunkWeights, filters: list[Tensor]) -> ChunkGradients:
        """What gathers a chunk's gradients."""
        return NativeGradients(self, weights, filters)

    def mix(
        self, z_SCL: Tensor, filters: list[Tensor], weights: ChunkWeights, *, y_CL: Tensor, kept_OCL: Tensor | None
    ) -> None:
        """Runs one chunk of one sequence into y, and keeps what each convolution gave where that is wanted."""
        channels, last = z_SCL.shape[1], len(filters) - 1
        self.gate_streams(z_SCL, weights)
        for o, filter_CF in enumerate(filters):
            v_CL = self.cut.signal(self.spectrum(channels).mul_(filter_CF))
            gated_CL = y_CL if o == last else self.head(channels)
            kept_CL = None if kept_OCL is None else kept_OCL[o]
            self.gate_signal(z_SCL, weights, self.order - 2 - o, v_CL, out_CL=gated_CL, kept_CL=kept_CL)

    def size(self, channels: int) -> tuple[ctypes.c_int64, ctypes.c_int64]:
        """Rows and their length."""
        return ctypes.c_int64(channels), ctypes.c_int64(self.cut.length)

    def stream(self, z_SCL: Tensor, weights: ChunkWeights, index: int) -> tuple[object, ...]:
        """A stream before its filter, and the filter."""
        filter_CT, bias_C = weights.short_SCT[index], weights.bias_SC[index]
        return (*_rows(z_SCL[index]), ctypes.c_void_p(filter_CT.data_ptr()), ctypes.c_void_p(bias_C.data_ptr()))

    def gate_streams(self, z_SCL: Tensor, weights: ChunkWeights) -> None:
        """Writes x_{N-1} v, padded: what the first convolution takes."""
        channels = z_SCL.shape[1]
        gate, v = (self.stream(z_SCL, weights, index) for index in (self.order - 1, self.order))
        self._code.gate_streams(*self.size(channels), *gate, *v, *_rows(self.head(channels)))

    def gate_signal(
        self,
        z_SCL: Tensor,
        weights: ChunkWeights,
        index: int,
        v_CL: Tensor,
        *,
        out_CL: Tensor,
        kept_CL: Tensor | None = None,
    ) -> None:
        """Writes a stream times v, and v itself where it is to be kept."""
        kept = _NOTHING if kept_CL is None else _rows(kept_CL)
        gate = self.stream(z_SCL, weights, index)
        self._code.gate_signal(*self.size(len(v_CL)), *gate, *_rows(v_CL), *_rows(out_CL), *kept)


class NativeGradients(ChunkGradients):
    """A chunk's gradients by the same code."""

    space: NativeWorkspace

    def add(self, z_SCL: Tensor, kept_OCL: Tensor, dy_CL: Tensor, *, dz_SCL: Tensor, y_CL: Tensor | None) -> None:
        """Takes one sequence's share: adds to the sums, writes dz, and y again where that is wanted."""
        space, weights, code = self.space, self.weights, self.space._code  # noqa: SLF001 -- two halves of one thing
        order, channels = space.order, len(dy_CL)
        size, dstreams_SCL, given_CL = space.size(channels), space.gradients(channels), dy_CL
        for o in reversed(range(order - 1)):
            gate, again = order - 2 - o, y_CL if o == order - 2 else None
            code.ungate_signal(
                *size,
                *space.stream(z_SCL, weights, gate),
                *_rows(kept_OCL[o]),
                *_rows(given_CL),
                *_rows(space.head(channels)),
                *_rows(dstreams_SCL[gate]),
                *(_NOTHING if again is None else _rows(again)),
            )
            dspectrum_CF = space.spectrum(channels)
            if o:
                space.gate_signal(z_SCL, weights, gate + 1, kept_OCL[o - 1], out_CL=space.head(channels))
            else:
                space.gate_streams(z_SCL, weights)
            self._unconvolve(o, dspectrum_CF, space.spectrum(channels))
            given_CL = space.cut.signal(dspectrum_CF)
        first, v = (space.stream(z_SCL, weights, index) for index in (order - 1, order))
        dfirst_CL, dv_CL = dstreams_SCL[order - 1], dstreams_SCL[order]
        code.ungate_streams(*size, *first, *v, *_rows(given_CL), *_rows(dfirst_CL), *_rows(dv_CL))
        self._unfilter(z_SCL, dstreams_SCL, dz_SCL)

    def _unconvolve(self, o: int, dspectrum_CF: Tensor, spectrum_CF: Tensor) -> None:
        rows, bins = (ctypes.c_int64(size) for size in dspectrum_CF.shape)
        spectra = (dspectrum_CF, spectrum_CF, self.filters[o], self.dfilters[o])
        addresses = (ctypes.c_void_p(spectrum.data_ptr()) for spectrum in spectra)
        self.space._code.unconvolve(rows, bins, *addresses)  # noqa: SLF001 -- likewise

    def _unfilter(self, z_SCL: Tensor, dstreams_SCL: Tensor, dz_SCL: Tensor) -> None:
        size, weights = self.space.size(z_SCL.shape[1]), self.weights
        for index in range(len(z_SCL)):
            totals = (weights.short_SCT[index], self.dshort_SCT[index], self.dbias_SC[index])
            weight, dweight, dbias = (ctypes.c_void_p(total.data_ptr()) for total in totals)
            rows = (*_rows(dstreams_SCL[index]), *_rows(z_SCL[index]), weight, *_rows(dz_SCL[index]))
            self.space._code.unfilter(*size, *rows, dweight, dbias)  # noqa: SLF001 -- likewise


def refuse_what_native_cannot(dtype: torch.dtype, device: torch.device, short_taps: int) -> None:
    """Compiles the code where it applies.

    Raises:
        Unsupported: Another device than a CPU, another dtype than float32, another short filter than of three taps, or no
            compiler that takes the code.
    """
    if device.type != "cpu":
        raise Unsupported(f"native runs on a CPU, not on {device.type}")
    if dtype != torch.float32:
        raise Unsupported(f"native computes in float32, not in {str(dtype).removeprefix('torch.')}")
    if short_taps != SHORT_TAPS:
        raise Unsupported(f"native's short filter has {SHORT_TAPS} taps, not {short_taps}")
    native_code()
