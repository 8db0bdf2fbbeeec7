"""What two runs must have in common for their absolute figures to be compared.

profile   who came, how often, with what limits; by which version of the instrument, and how it was measured
machine   what it ran on, so far as that changes times
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from load.metrics.timeline import Limits
from load.options import Options
from load.target.noise import canary_ns

DEFINITIONS: Final = 1
"""Goes up when a figure of docs/metrics.md gets another meaning."""
CANARIES: Final = 51
"""The fastest of them says how fast the processor is; the others, who else was there."""
CGROUP: Final = Path("/sys/fs/cgroup")
CPU_INFO: Final = Path("/proc/cpuinfo")
PRODUCT: Final = Path("/sys/class/dmi/id/product_name")


def known_before(options: Options, limits: Limits) -> dict[str, object]:
    """What is known before the first user comes: name -> plain value, None where the system does not tell."""
    return {"profile": _profile(options, limits), "definitions": DEFINITIONS, **_instrument(), **_machine()}


def _profile(options: Options, limits: Limits) -> str:
    """Of everything that decides who comes; not the seed, by which chance alone differs."""
    asked = {
        "users": options.users,
        "spawn_rate": options.spawn_rate,
        "run_time_s": options.run_time_s,
        "scenarios": options.scenarios,
        "mix": dict(options.mix),
        "failures": options.failures,
        "arrivals": options.arrivals,
        "think_s": options.think_s,
        "rate": None if options.rate is None else options.rate.given,
        "max_in_flight": options.max_in_flight,
        "stages": [[stage.users, stage.lasts_s] for stage in options.stages],
        "prompts": _hash(options.prompts),
        "replay": _hash(options.replay),
        "config": _hash(options.config),
        "app": options.app,
        "host": _without_port(options.host),
        "protocol": options.protocol,
        "model": options.model,
        "stall_ns": limits.stall_ns,
        "trace_headers": options.trace_headers,
        "tls": [None if options.tls_ca is None else str(options.tls_ca), options.insecure],
    }
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _instrument() -> dict[str, object]:
    try:
        version = importlib.metadata.version("streamgauge")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        version = "checkout"
    return {"instrument": version}


def _machine() -> dict[str, object]:
    return {
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "cpu_max": _text(CGROUP / "cpu.max"),
        "memory_max": _text(CGROUP / "memory.max"),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "virtual": _text(PRODUCT) or ("hypervisor" if "hypervisor" in (_text(CPU_INFO) or "") else None),
        "python": " ".join(sys.version.split()),
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
        "canary_ms": round(min(canary_ns() for _ in range(CANARIES)) / 1e6, 4),
    }


def _cpu() -> str | None:
    lines = (_text(CPU_INFO) or "").splitlines()
    found: Mapping[str, str] = {
        name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon
    }
    return found.get("model name") or platform.machine() or None


def _without_port(host: str | None) -> str | None:
    """A server that is started for the run may listen anywhere."""
    if host is None:
        return None
    parts = urlsplit(host)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _hash(file: Path | None) -> str | None:
    return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
