"""What Linux says of the machine: CPU model, memory left, who used the CPUs; None or less where it does not say."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from hyenaprof.model import FactValue

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
_VECTOR_FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_fp16",
)
_ARM_FLAGS = ("asimd", "asimdhp", "bf16", "sve", "sve2", "sme")
_IDLE_FIELDS = (3, 4)
"""Columns of /proc/stat that are not work: idle and iowait."""
_BUSY_FIELDS = 8
"""user nice system idle iowait irq softirq steal; guest time is counted in user already."""


def read_text(path: Path) -> str | None:
    """A file's text, None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def cpu_facts(proc: Path = PROC) -> dict[str, FactValue]:
    """Model, CPUs this process may use, vector instructions, memory in GiB, NUMA nodes, hypervisor."""
    info = read_text(proc / "cpuinfo") or ""
    flags = set(_field(info, "flags|Features").split())
    memory_kib = _kib(read_text(proc / "meminfo") or "", "MemTotal")
    return {
        "cpu": _field(info, "model name") or platform.processor() or platform.machine(),
        "cpu_family": " ".join(_field(info, name) for name in ("cpu family", "model", "stepping")).strip() or None,
        "cpus": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "vector": vector_flags(proc),
        "memory_gib": round(memory_kib / 1024**2) if memory_kib else None,
        "numa_nodes": len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or None,
        "virtual": "hypervisor" in flags,
    }


def vector_flags(proc: Path = PROC) -> tuple[str, ...]:
    """Vector instruction sets, as the kernel names them."""
    flags = _field(read_text(proc / "cpuinfo") or "", "flags|Features").split()
    return tuple(flag for flag in (*_VECTOR_FLAGS, *_ARM_FLAGS) if flag in flags)


def _field(info: str, name: str) -> str:
    match = re.search(rf"^(?:{name})\s*:\s*(.*)$", info, re.MULTILINE)
    return match[1].strip() if match else ""


def _kib(meminfo: str, name: str) -> int | None:
    match = re.search(rf"^{name}:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) if match else None


def available_memory_bytes(proc: Path = PROC, cgroup: Path = CGROUP) -> int:
    """Bytes that can be taken without swapping: the machine's, or what the cgroup's limit leaves."""
    kib = _kib(read_text(proc / "meminfo") or "", "MemAvailable")
    machine = kib * 1024 if kib is not None else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    limits = [_left(folder, names) for names in (_V2, _V1) for folder in _own_cgroups(names, proc, cgroup)]
    return max(0, min([machine, *(left for left in limits if left is not None)]))


class _CgroupNames(NamedTuple):
    """How a version of cgroups names its parts. A container of either may see its own group at the root."""

    controller: str
    """In /proc/self/cgroup, empty where all controllers share one tree."""
    limit: str
    used: str
    cached: str
    """In memory.stat: pages that are dropped on demand, of this group and those below it."""


_V2 = _CgroupNames("", "memory.max", "memory.current", "inactive_file")
_V1 = _CgroupNames("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""Without a limit version 1 says 2^63 less a page, which is more than any machine leaves."""


def _own_cgroups(names: _CgroupNames, proc: Path, cgroup: Path) -> list[Path]:
    """This process's cgroup and those above it: any of them may hold the limit."""
    rows = [line.split(":", 2) for line in (read_text(proc / "self" / "cgroup") or "").splitlines()]
    own = [row[2] for row in rows if len(row) == 3 and names.controller in row[1].split(",")]
    root = cgroup / names.controller
    folder = root / (own[0] if own else "/").lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _left(folder: Path, names: _CgroupNames) -> int | None:
    """What a cgroup's limit leaves; page cache counts as free, since it is dropped on demand."""
    limit, used = read_text(folder / names.limit), read_text(folder / names.used)
    if limit is None or used is None or not limit.strip().isdecimal():
        return None
    stat = read_text(folder / "memory.stat") or ""
    cached = re.search(rf"^{names.cached} (\d+)$", stat, re.MULTILINE)
    return int(limit) - int(used) + (int(cached[1]) if cached else 0)


def busy_cpu_s(cpus: Collection[int], proc: Path = PROC) -> float | None:
    """CPU seconds that anybody has used on these CPUs since the machine started."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    rows = [line.split() for line in (read_text(proc / "stat") or "").splitlines()]
    ticks = [_busy_ticks(row[1:]) for row in rows if row and row[0] in wanted]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def _busy_ticks(fields: list[str]) -> int:
    return sum(int(text) for index, text in enumerate(fields[:_BUSY_FIELDS]) if index not in _IDLE_FIELDS)


def stalled_cpu_s(proc: Path = PROC) -> float | None:
    """Seconds so far during which some process waited for a CPU; None without pressure information."""
    match = re.search(r"^some .*total=(\d+)", read_text(proc / "pressure" / "cpu") or "", re.MULTILINE)
    return int(match[1]) * 1e-6 if match else None
