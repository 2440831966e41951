"""Real servers in processes of their own: they answer, and end while requests are open."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.project import ROOT, databases, python_path

MODULE = "tests.handlers.serving"
SERVERS = {
    "uvicorn": ["-m", "uvicorn", "{app}", "--port", "{port}", "--timeout-graceful-shutdown", "5"],
    "hypercorn": ["-m", "hypercorn", "{app}", "--bind", "127.0.0.1:{port}"],
    "granian": ["-m", "granian", "--interface", "asginl", "--port", "{port}", "{app}"],
    "daphne": ["-m", "daphne", "-p", "{port}", "{app}"],
}
APPLICATIONS = ["django", "by_protocol", "with_static_files"]


@contextmanager
def served(name: str, application: str = "django") -> Iterator[Any]:
    """Start a server, and yield its process, its port, and what it has written until it ends."""
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [part.format(app=f"{MODULE}:{application}", port=port) for part in SERVERS[name]]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(python_path()),
        "TURBO_ORM_TEST_DATABASES": json.dumps(databases()),
    }
    process = subprocess.Popen(
        [sys.executable, "-W", "always", *given],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for _ in range(300):
            assert process.poll() is None, process.communicate()[0]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", data=body, timeout=20) as found:
            return found.status, found.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


# What a server writes of its own, beside its log of requests.
_ODD = re.compile(r"warning|traceback|error|never|destroyed|exception", re.IGNORECASE)

# Django has no lifespan, and logs what was not found.
_EXPECTED = re.compile(r"Lifespan|Not Found")


def end(process: Any) -> list[str]:
    """Have a server end, and return the lines that are not to be in its log."""
    process.send_signal(signal.SIGTERM)
    written, _ = process.communicate(timeout=20)
    lines = written.splitlines()
    return [line for line in lines if _ODD.search(line) and not _EXPECTED.search(line)]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("name", SERVERS)
def test_a_server(name, application):
    if name != "uvicorn" and application != "django":
        pytest.skip("what is around the application does not depend on the server")
    if application == "by_protocol":
        pytest.importorskip("channels")
    with served(name, application) as (process, port):
        for path in ("count", "count_on_bridge", "count_in_thread"):
            assert get(port, path) == (200, b"0")
        assert get(port, "stream") == (200, b"0,0,0,0,0,")
        assert get(port, "echo", b"x" * 1_000_000) == (200, b"x" * 1_000_000)
        assert get(port, "missing")[0] == 404
        assert get(port, "static/none.css")[0] == 404
        assert end(process) == []


async def ask(port: int, path: str, count: int) -> list[bytes]:
    """Open connections, ask on each, and read all that comes until the server closes them."""

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /%s HTTP/1.1\r\nHost: testserver\r\n\r\n" % path.encode())
        asked.release()
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    asked = asyncio.Semaphore(0)
    return await asyncio.gather(*[one() for _ in range(count)])


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("path", ["slow", "slow_on_bridge"])
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_ends_while_requests_are_open(name, path):
    """Each is answered or refused, nothing hangs, and nothing is in the log."""

    async def main(process: Any, port: int) -> tuple[list[bytes], list[str]]:
        asking = asyncio.create_task(ask(port, path, 8))
        await asyncio.sleep(0.25)
        odd = await asyncio.to_thread(end, process)
        async with asyncio.timeout(10):
            return await asking, odd

    with served(name) as (process, port):
        assert get(port, "count_on_bridge") == (200, b"0")
        answers, odd = asyncio.run(main(process, port))
    for answer in answers:
        assert answer == b"" or answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))
    assert any(answers) or name in ("daphne", "granian")
    assert odd == []


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("path", ["slow", "slow_on_bridge", "stream"])
def test_clients_that_go(path):
    """The server goes on, and its log does not tell of it."""

    async def main(port: int) -> None:
        async def one() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /%s HTTP/1.1\r\nHost: testserver\r\n\r\n" % path.encode())
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.transport.abort()

        await asyncio.gather(*[one() for _ in range(8)])

    with served("uvicorn") as (process, port):
        asyncio.run(main(port))
        assert get(port, "count") == (200, b"0")
        assert end(process) == []
