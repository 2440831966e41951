"""Serves the atlas: starts PostgreSQL, loads the cities once, and prints the URL."""

import os
import signal
import socket
import sys
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path

import django
import uvicorn
from rich.console import Console

from atlas.postgres import kept_dsn

_DATA = Path(__file__).resolve().parents[3] / ".cache" / "atlas"


def main() -> None:
    parser = ArgumentParser(
        prog="python -m atlas.site",
        description="Serve the cities of the world. DATABASE_URL names a database to keep them "
        "in; without it, an embedded server keeps them in .cache/atlas.",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 finds one (%(default)s)")
    parser.add_argument(
        "--rows", type=int, help="at the first start, load the ROWS largest cities"
    )
    options = parser.parse_args()
    try:
        listening = socket.create_server(("127.0.0.1", options.port))
    except (OSError, OverflowError) as error:
        parser.error(str(error))
    # So that the embedded server is stopped in any case.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with listening, suppress(KeyboardInterrupt):
        _serve(listening, Console(highlight=False, soft_wrap=True), options.rows)


def _serve(listening: socket.socket, console: Console, rows: int | None) -> None:
    console.print("Starting PostgreSQL …")
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = kept_dsn(_DATA)
    os.environ["DJANGO_SETTINGS_MODULE"] = "atlas.site.settings"
    django.setup()
    from atlas.site.preparation import USERNAME, prepare

    password = prepare(console, rows)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    console.print(f"The atlas is at {url}")
    console.print(f"{url}admin/ takes the user {USERNAME} and the password {password}")
    console.print("Ctrl+C ends it.")
    config = uvicorn.Config(
        "atlas.site.asgi:application",
        lifespan="off",
        # Errors are Django's to log. It would log each stream that it ends, too.
        log_level="critical",
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
