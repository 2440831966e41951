"""The load: wrk, in a process of its own, on as many connections as there are clients."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Where the Makefile puts it if it is not installed.
VARIABLE = "WRK"
SCRIPT = Path(__file__).with_name("wrk.lua")
# Longer than any response takes, so that slow ones are measured, and do not time out.
TIMEOUT = 60


@dataclass(frozen=True)
class Load:
    """What a load has measured: seconds, and numbers of requests."""

    seconds: float
    requests: int
    p50: float
    p99: float
    errors: dict[str, int]


def start(url: str, connections: int, seconds: int) -> subprocess.Popen[str]:
    """Start to request a URL, on each connection as soon as it has the last response."""
    command = [
        os.environ.get(VARIABLE, "wrk"),
        f"--connections={connections}",
        f"--duration={seconds}s",
        "--latency",
        f"--script={SCRIPT}",
        "--threads=1",
        f"--timeout={TIMEOUT}s",
        url,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> Load:
    """Wait for the end of a load, and return its figures."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} failed:\n{output}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return Load(**found)
