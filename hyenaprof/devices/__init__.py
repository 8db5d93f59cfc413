"""The table of device kinds: literal strings that import nothing."""

from __future__ import annotations

DEVICES: dict[str, str] = {
    "cuda": "hyenaprof.devices.cuda:CUDA",
    "cpu": "hyenaprof.devices.cpu:CPU",
    "fake": "hyenaprof.devices.fake:Fake",
}
