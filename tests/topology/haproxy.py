"""HAProxy and etcd, from the PATH or from ``.cache/haproxy``.

``make haproxy`` puts Debian's there. HAProxy is told what ``docs/replicas.md`` shows.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until
from tests.test_docs import ROOT, blocks
from tests.topology.pgbouncer import free_port, listens

UNPACKED = ROOT / ".cache" / "haproxy"


def program(name: str) -> str | None:
    """Return where a program is, if there is one."""
    for folder in ("usr/sbin", "usr/bin"):
        if (UNPACKED / folder / name).exists():
            return str(UNPACKED / folder / name)
    return shutil.which(name)


def shown(language: str, text: str = "") -> str:
    """Return the block of a language, and with a text, that the page shows."""
    page = blocks(ROOT / "docs" / "replicas.md")
    (found,) = (each.code for each in page if each.language == language and text in each.code)
    return found


@contextmanager
def etcd(directory: Path) -> Iterator[int]:
    """Run etcd for the block, and yield its port."""
    clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    options = {
        "data-dir": directory / "etcd",
        "listen-client-urls": clients,
        "advertise-client-urls": clients,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
    }
    port = int(clients.rpartition(":")[2])
    given = [f"--{name}={value}" for name, value in options.items()]
    with _running("etcd", port, *given, log=directory / "etcd.log"):
        yield port


@contextmanager
def haproxy(directory: Path, servers: dict[str, tuple[int, int]]) -> Iterator[int]:
    """Run HAProxy for the block, and yield its port.

    The servers are given by name, each with its port and that of its Patroni.
    """
    port = free_port()
    lines = re.sub(r"bind .*", f"bind 127.0.0.1:{port}", shown("text"))
    for name, (server, api) in servers.items():
        there = f"server {name} 127.0.0.1:{server} check port {api}"
        lines, count = re.subn(rf"server {name} .*", there, lines)
        assert count == 1
    config = directory / "haproxy.cfg"
    config.write_text(f"{lines}\n")
    with _running("haproxy", port, "-db", "-f", config, log=directory / "haproxy.log"):
        yield port


@contextmanager
def _running(name: str, port: int, *arguments: Any, log: Path) -> Iterator[None]:
    libraries = ":".join(map(str, UNPACKED.glob("usr/lib/*")))
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
    command = [str(program(name)), *map(str, arguments)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def is_there() -> bool:
        assert process.poll() is None, log.read_text()
        return listens(port)

    try:
        wait_until(is_there)
        yield
    finally:
        process.kill()
        process.wait()
