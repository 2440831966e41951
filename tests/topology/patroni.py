"""Servers that Patroni starts and promotes, with etcd beside them and HAProxy in front.

Patroni is PyPI's, since Debian's may be older than the server. It is told what
``docs/replicas.md`` shows, with other addresses.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.support.waiting import wait_until
from tests.topology.cluster import Node
from tests.topology.haproxy import etcd, haproxy, program, shown
from tests.topology.pgbouncer import free_port

# How long it may take until a standby is the primary. Where a Patroni is lost that has the lock,
# the ``ttl`` of that, 20 seconds, has to pass.
PROMOTION = 40


def missing() -> list[str]:
    """Return what there is not of all that it takes."""
    packages = {"patroni": "patroni", "etcd": "python-etcd"}
    return [
        *(name for name in ("haproxy", "etcd") if program(name) is None),
        *(package for name, package in packages.items() if find_spec(name) is None),
    ]


class Member(Node):
    """A server with a Patroni of its own."""

    def __init__(self, name: str, directory: Path, etcd_port: int) -> None:
        super().__init__(name, directory)
        self.api = free_port()
        self._config, self._log = directory / f"{name}.json", directory / f"{name}.log"
        self._write_config(etcd_port)

    def _write_config(self, etcd_port: int) -> None:
        import yaml

        config = yaml.safe_load(shown("yaml"))
        config |= {"name": self.name, "etcd3": {"hosts": f"127.0.0.1:{etcd_port}"}}
        server = config["postgresql"]
        for section, port in ((config["restapi"], self.api), (server, self.port)):
            section |= dict.fromkeys(("listen", "connect_address"), f"127.0.0.1:{port}")
        server["data_dir"], server["bin_dir"] = str(self._data), str(self._binaries)
        server["pgpass"] = f"{self._data}.pgpass"
        server["pg_hba"] = ["host all all 127.0.0.1/32 trust"]
        server["pg_hba"] += ["host replication all 127.0.0.1/32 trust"]
        server["parameters"] = {"fsync": "off", "unix_socket_directories": ""}
        self._config.write_text(json.dumps(config))

    def start(self) -> None:
        """Start Patroni, which starts the server."""
        command = [sys.executable, "-m", "patroni", str(self._config)]
        if self.user is not None:
            # The interpreter may be in a directory that is root's alone.
            who = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
            may_read = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
            command = ["setpriv", *who, *may_read, *command]
        with self._log.open("wb") as log:
            self.patroni = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)

    def end(self) -> None:
        """Kill Patroni and the server."""
        self.patroni.kill()
        self.patroni.wait()
        if self.is_running():
            self.kill()

    async def request(self, method: str, path: str, **body: str) -> int:
        """Return the status of Patroni's answer, and 0 if there is none."""
        content = json.dumps(body)
        head = f"{method} {path} HTTP/1.0\r\nContent-Length: {len(content)}\r\n\r\n"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.api)
            writer.write((head + content).encode())
            status = await reader.readline()
            writer.close()
        except OSError:
            return 0
        return int(status.split()[1]) if status else 0

    def wait_until_it_is(self, role: str) -> None:
        """Wait until Patroni says that it has a role, where no event loop runs."""

        def says_so() -> bool:
            assert self.patroni.poll() is None, self._log.read_text()
            return asyncio.run(self.request("OPTIONS", f"/{role}")) == 200

        wait_until(says_so, seconds=60)

    async def until_primary(self) -> None:
        """Wait until it is the primary."""
        async with asyncio.timeout(PROMOTION):
            while await self.request("OPTIONS", "/primary") != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@contextmanager
def behind_haproxy(*names: str) -> Iterator[tuple[list[Member], int]]:
    """Start a primary and its synchronous standby. Yield them, and the port of HAProxy."""
    directory = Path(tempfile.mkdtemp(prefix="turbo-orm-patroni-"))
    members: list[Member] = []
    try:
        with etcd(directory) as etcd_port:
            for name, role in zip(names, ("primary", "sync"), strict=True):
                member = Member(name, directory, etcd_port)
                member.start()
                members.append(member)
                member.wait_until_it_is(role)
            servers = {member.name: (member.port, member.api) for member in members}
            with haproxy(directory, servers) as port:
                yield members, port
    finally:
        for member in members:
            member.end()
        shutil.rmtree(directory, ignore_errors=True)
