"""Transforms in vectors of channels, and the stages between them in one pass each, in C++ built at run time.

`lanes.cpp` and `native.cpp` are compiled for this very CPU in about a second and loaded into the process; nothing stays
on disk. They run on torch's own OpenMP threads: their OpenMP calls are left unresolved and meet the runtime that torch
has loaded.
"""

from __future__ import annotations

import ctypes
import math
import subprocess
import tempfile
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.operators.chunked import ChunkGradients, ChunkWeights, Cut, Workspace
from hyenaprof.operators.compilers import cxx_compiler

SOURCES = tuple(Path(__file__).with_name(name) for name in ("lanes.cpp", "native.cpp"))
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp")
COMPILER_LIMIT_S = 60.0
"""For one file, which takes about a second."""
SHORT_TAPS = 3
"""Taps of the short filter that the code is written for."""
LANES = 8
"""Channels in a vector of `lanes.cpp`."""
_NOTHING = (ctypes.c_void_p(None), ctypes.c_int64(0))


@cache
def native_code() -> ctypes.CDLL:
    """Compiles and loads both files, once a process.

    Raises:
        Unsupported: No compiler, it does not end, or it or the loader refuses, in its own words.
    """
    compiler = cxx_compiler()
    with tempfile.TemporaryDirectory(prefix="hyenaprof-") as folder:
        compiled, linked = [Path(folder, f"{source.stem}.o") for source in SOURCES], Path(folder, "native.so")
        for source, target in zip(SOURCES, compiled, strict=True):
            _run(*compiler, *FLAGS, "-c", str(source), "-o", str(target))
        # Linked without OpenMP: torch's runtime is in the process already, and a second one would fight it for the cores.
        _run(*compiler, "-shared", *map(str, compiled), "-o", str(linked))
        try:
            return ctypes.CDLL(str(linked))
        except OSError as error:
            raise Unsupported(f"the compiled code cannot be loaded: {error}") from error


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILER_LIMIT_S)
    except OSError as error:
        raise Unsupported(f"the C++ compiler cannot be run: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise Unsupported(f"the C++ compiler {command[0]} did not end within {COMPILER_LIMIT_S:g} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unsupported(f"the C++ compiler refuses: {said[0]}")


def _rows(tensor_CL: Tensor) -> tuple[ctypes.c_void_p, ctypes.c_int64]:
    """Address of the first row, and elements from one row to the next."""
    return ctypes.c_void_p(tensor_CL.data_ptr()), ctypes.c_int64(tensor_CL.stride(0))


@lru_cache(maxsize=2)
def turning_tables(points: int) -> tuple[Tensor, Tensor]:
    """The twist [M, 2] and the twiddles of each transform size M, M/4, .., as `lanes.cpp` reads them: cosines and sines."""
    places_M = torch.arange(points, dtype=torch.float64)
    twist_M2 = _turned(places_M * (math.pi / 2 / points))
    twiddles, size = [], points
    while size >= 4:
        angles_J = places_M[: size // 4] * (-2 * math.pi / size)
        twiddles.append(torch.cat([_turned(angles_J * power) for power in (1, 2, 3)], dim=1).flatten())
        size //= 4
    return twist_M2.float().contiguous(), torch.cat(twiddles).float()


def _turned(angles_J: Tensor) -> Tensor:
    return torch.stack([angles_J.cos(), angles_J.sin()], dim=1)


def lane_points(length: int) -> int:
    """Points of a transform in lanes: a power of two from the length on, at least 4."""
    return max(4, 1 << (length - 1).bit_length())


class NativeWorkspace(Workspace):
    """A workspace whose streams are never written down: each stage filters what it reads.

    A spectrum is [channels / 8, M, 2, 8], real and imaginary parts of eight channels side by side.
    """

    def __init__(self, cut: Cut, order: int) -> None:
        super().__init__(replace(cut, points=cut.length), order)  # transforms in lanes need no padding
        self._code = native_code()
        self._points = lane_points(cut.length)
        self._tables = turning_tables(self._points)

    @property
    def _turning(self) -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
        twist_M2, twiddles = self._tables
        return ctypes.c_void_p(twist_M2.data_ptr()), ctypes.c_void_p(twiddles.data_ptr())

    def spectrum(self, channels: int) -> Tensor:
        """The transform of what was written."""
        spectrum = self.cut.empty(-(-channels // LANES), self._points, 2, LANES)
        points, address = ctypes.c_int64(self._points), ctypes.c_void_p(spectrum.data_ptr())
        rows = _rows(self.head(channels))
        self._code.lanes_spectrum(*self.size(channels), points, *rows, *self._turning, address)
        return spectrum

    def convolved(self, filter_CF: Tensor, channels: int) -> Tensor:
        """What was written, convolved with a filter whose transform is given: [C, L]."""
        out_CL, scratch = self.cut.empty(channels, self.cut.length), torch.empty_like(filter_CF)
        spectra = (ctypes.c_void_p(each.data_ptr()) for each in (filter_CF, scratch))
        points, rows = ctypes.c_int64(self._points), _rows(self.head(channels))
        self._code.lanes_convolve(*self.size(channels), points, *rows, *self._turning, *spectra, *_rows(out_CL))
        return out_CL

    def signal(self, spectrum: Tensor, channels: int) -> Tensor:
        """The inverse transform, [C, L]; the spectrum is written over."""
        out_CL = self.cut.empty(channels, self.cut.length)
        points, address = ctypes.c_int64(self._points), ctypes.c_void_p(spectrum.data_ptr())
        self._code.lanes_signal(*self.size(channels), points, address, *self._turning, *_rows(out_CL))
        return out_CL

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
            v_CL = self.convolved(filter_CF, channels)
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
            given_CL = space.signal(dspectrum_CF, channels)
        first, v = (space.stream(z_SCL, weights, index) for index in (order - 1, order))
        dfirst_CL, dv_CL = dstreams_SCL[order - 1], dstreams_SCL[order]
        code.ungate_streams(*size, *first, *v, *_rows(given_CL), *_rows(dfirst_CL), *_rows(dv_CL))
        self._unfilter(z_SCL, dstreams_SCL, dz_SCL)

    def _unconvolve(self, o: int, dspectrum: Tensor, spectrum: Tensor) -> None:
        spectra = (dspectrum, spectrum, self.filters[o], self.dfilters[o])
        addresses = (ctypes.c_void_p(each.data_ptr()) for each in spectra)
        points = ctypes.c_int64(spectrum.numel() // (2 * LANES))
        self.space._code.lanes_unconvolve(points, *addresses)  # noqa: SLF001 -- likewise

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
