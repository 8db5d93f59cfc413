from __future__ import annotations

import os

import pytest

from hyenaprof.devices.procfs import available_memory_bytes, busy_cpu_s, cpu_facts, stalled_cpu_s

STAT = """\
cpu  300 0 100 900 50 0 10 40 20 0
cpu0 100 5 50 500 25 1 2 30 20 0
cpu1 200 0 50 400 25 0 8 10 0 0
intr 12345
"""
CPUINFO = """\
processor : 0
model name : Example CPU 9000
cpu family : 25
model : 17
stepping : 1
flags : fpu avx2 fma hypervisor avx512f

processor : 1
model name : Example CPU 9000
"""


def written(folder, **files):
    for name, text in files.items():
        path = folder.joinpath(*name.split("__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_busy_time_is_that_of_the_asked_cpus_without_idle_iowait_and_guest(tmp_path):
    proc = written(tmp_path, stat=STAT)
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    assert busy_cpu_s({0}, proc) == pytest.approx((100 + 5 + 50 + 1 + 2 + 30) * tick_s)
    assert busy_cpu_s({0, 1}, proc) == pytest.approx((188 + 268) * tick_s)


def test_busy_time_is_unknown_where_the_cpus_are_not_listed(tmp_path):
    assert busy_cpu_s({7}, written(tmp_path, stat=STAT)) is None
    assert busy_cpu_s({0}, tmp_path / "nothing") is None


def test_stalled_time_is_the_total_of_some(tmp_path):
    text = "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    assert stalled_cpu_s(written(tmp_path, pressure__cpu=text)) == 2.5


def test_stalled_time_is_unknown_without_pressure_information(tmp_path):
    assert stalled_cpu_s(tmp_path) is None


def test_available_memory_is_the_machines_without_a_limit(tmp_path):
    proc = written(tmp_path / "proc", meminfo="MemTotal: 9000 kB\nMemAvailable:    4000 kB\n", self__cgroup="0::/\n")
    cgroup = written(tmp_path / "cgroup", **{"memory.max": "max\n", "memory.current": "100\n"})
    assert available_memory_bytes(proc, cgroup) == 4000 * 1024


def test_a_limit_anywhere_above_counts_and_page_cache_is_free(tmp_path):
    proc = written(tmp_path / "proc", meminfo="MemAvailable: 4000 kB\n", self__cgroup="0::/jobs/one\n")
    cgroup = written(
        tmp_path / "cgroup",
        **{
            "jobs__memory.max": "1000000\n",
            "jobs__memory.current": "700000\n",
            "jobs__memory.stat": "anon 5\ninactive_file 200000\nactive_file 9\n",
            "jobs__one__memory.max": "max\n",
            "jobs__one__memory.current": "5\n",
        },
    )
    assert available_memory_bytes(proc, cgroup) == 1000000 - 700000 + 200000


UNLIMITED_V1 = f"{2**63 - 4096}\n"


def test_a_limit_of_cgroup_version_1_counts_as_one_of_version_2_does(tmp_path):
    lines = "12:cpu,cpuacct:/jobs\n5:memory:/jobs/one\n1:name=systemd:/jobs\n0::/elsewhere\n"
    proc = written(tmp_path / "proc", meminfo="MemAvailable: 4000 kB\n", self__cgroup=lines)
    cgroup = written(
        tmp_path / "cgroup",
        **{
            "memory__memory.limit_in_bytes": UNLIMITED_V1,
            "memory__memory.usage_in_bytes": "900000000\n",
            "memory__jobs__memory.limit_in_bytes": "1000000\n",
            "memory__jobs__memory.usage_in_bytes": "700000\n",
            "memory__jobs__memory.stat": "inactive_file 1\ntotal_inactive_file 200000\n",
            "memory__jobs__one__memory.limit_in_bytes": UNLIMITED_V1,
            "memory__jobs__one__memory.usage_in_bytes": "5\n",
        },
    )
    assert available_memory_bytes(proc, cgroup) == 1000000 - 700000 + 200000


def test_in_a_container_of_version_1_the_limit_stands_at_the_root(tmp_path):
    proc = written(tmp_path / "proc", meminfo="MemAvailable: 4000 kB\n", self__cgroup="5:memory:/docker/0123\n")
    cgroup = written(
        tmp_path / "cgroup",
        **{"memory__memory.limit_in_bytes": "1000000\n", "memory__memory.usage_in_bytes": "300000\n"},
    )
    assert available_memory_bytes(proc, cgroup) == 700000


def test_a_group_without_a_limit_of_version_1_leaves_the_machines_memory(tmp_path):
    proc = written(tmp_path / "proc", meminfo="MemAvailable: 4000 kB\n", self__cgroup="5:memory:/\n")
    cgroup = written(
        tmp_path / "cgroup", **{"memory__memory.limit_in_bytes": UNLIMITED_V1, "memory__memory.usage_in_bytes": "9\n"}
    )
    assert available_memory_bytes(proc, cgroup) == 4000 * 1024


def test_a_group_over_its_limit_leaves_nothing(tmp_path):
    proc = written(tmp_path / "proc", meminfo="MemAvailable: 4000 kB\n", self__cgroup="0::/\n")
    cgroup = written(tmp_path / "cgroup", **{"memory.max": "1000\n", "memory.current": "1400\n"})
    assert available_memory_bytes(proc, cgroup) == 0


def test_facts_name_model_memory_and_vector_instructions_only(tmp_path):
    proc = written(tmp_path, cpuinfo=CPUINFO, meminfo="MemTotal:       25282560 kB\n")
    facts = cpu_facts(proc)
    assert facts["cpu"] == "Example CPU 9000"
    assert facts["cpu_family"] == "25 17 1"
    assert facts["vector"] == ("avx2", "fma", "avx512f")
    assert facts["memory_gib"] == 24
    assert facts["virtual"] is True
