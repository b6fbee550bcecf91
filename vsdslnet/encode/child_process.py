"""What systems do differently about a process that was started."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

__all__ = ["apart_from_ctrl_c", "how_ended"]


def apart_from_ctrl_c() -> dict[str, Any]:
    """Arguments of ``Popen`` for a child that Ctrl-C on the terminal does not reach: it is for us to end it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def how_ended(code: int) -> str:
    """How a process ended, in words, from the ``returncode`` that Popen has for it.

    Below 0 is a POSIX signal. Windows has none: what ends a program there is an NTSTATUS, whose highest bit is set,
    and which people look up in hexadecimal.
    """
    if code < 0:
        name = next((known.name for known in signal.Signals if known == -code), str(-code))
        return f"by signal {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"with exit code {code:#010x}" if code >= 1 << 31 else f"with exit code {code}"
