"""What a process has in memory, and the most it had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["base_bytes", "peak_bytes"]


def base_bytes() -> int:
    """Resident size of this process now; where the system can, its peak starts again from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak_bytes()
    return status_bytes("VmRSS")


def peak_bytes() -> int:
    """Peak resident size of this process."""
    if sys.platform.startswith("linux"):
        return status_bytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def status_bytes(name: str) -> int:
    """A size from Linux's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
