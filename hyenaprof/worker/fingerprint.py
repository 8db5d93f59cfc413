"""Who a number belongs to: machine, software and protocol, in fields that stay the same from run to run."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import torch

import hyenaprof
from hyenaprof.devices.base import Device
from hyenaprof.environment import allocator_in_use
from hyenaprof.model import FactValue, Fingerprint
from hyenaprof.scrub import scrub

MEASUREMENT_VERSION = 1
"""Raised whenever the engine measures something else than before: older numbers are then not comparable."""
_PACKAGES = ("torch", "triton", "numpy", "flash-attn", "flash-attn-4", "fla-core", "mamba-ssm")
_ADAPTED = ("flash-attn-3", "flashfftconv", "subquadratic-ops-torch-cu12", "subquadratic-ops-torch-cu13")
"""Named only where they are installed, so that the fingerprints of those who have none of them stay what they were."""
_SETTINGS = (
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "OMP_WAIT_POLICY",
    "OMP_PROC_BIND",
    "GOMP_SPINCOUNT",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_TF32_OVERRIDE",
)
"""Variables of the libraries that change times; recorded with their values where they are set."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a run asked for that decides what its times mean."""

    threads: int
    cache: Literal["cold", "hot"] = "cold"
    cuda_graph: bool = False
    inputs: Literal["random", "ones"] = "random"


def take_fingerprint(device: Device, protocol: Protocol) -> Fingerprint:
    """Gives machine, software and protocol facts, scrubbed of host and user names and of paths."""
    return Fingerprint(
        machine=_scrubbed(device.describe() | {"device": device.kind}),
        software=_scrubbed(_software() | device.software()),
        protocol=_scrubbed(_protocol(device, protocol)),
    )


def _scrubbed(facts: dict[str, FactValue]) -> dict[str, FactValue]:
    return {name: _scrub_value(value) for name, value in facts.items()}


def _scrub_value(value: FactValue) -> FactValue:
    if isinstance(value, str):
        return scrub(value)
    return tuple(scrub(item) for item in value) if isinstance(value, tuple) else value


def _software() -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {
        "hyenaprof": hyenaprof.__version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "system": platform.system(),
        "blas": _build_fact(r"Intel\(R\) (?:oneAPI )?Math Kernel Library Version ([\w.-]+)"),
        "onednn": _build_fact(r"MKL-DNN (v[\w.]+)"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
        "cudnn": _cudnn(),
    }
    adapted = {name: found for name in _ADAPTED if (found := _version(name)) is not None}
    return facts | {name: _version(name) for name in _PACKAGES} | adapted


def _cudnn() -> int | None:
    found: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch leaves it so
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _build_fact(pattern: str) -> str | None:
    match = re.search(pattern, torch.__config__.show())
    return match[1] if match else None


def _protocol(device: Device, protocol: Protocol) -> dict[str, FactValue]:
    return {
        "measurement": MEASUREMENT_VERSION,
        "clock": device.clock,
        "threads": protocol.threads,
        "allocator": allocator_in_use(),
        "settings": tuple(f"{name}={os.environ[name]}" for name in _SETTINGS if name in os.environ),
        "cache": protocol.cache if device.asynchronous else "as left by the call before",
        "cuda_graph": protocol.cuda_graph,
        **({"inputs": protocol.inputs} if protocol.inputs != "random" else {}),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "tf32": torch.backends.cuda.matmul.allow_tf32 if device.kind == "cuda" else None,
        "denormals": "flushed" if _denormals_flushed() else "kept",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _denormals_flushed() -> bool:
    smallest = torch.tensor([1e-40], dtype=torch.float32)
    return bool((smallest * 1.0 == 0).item())
