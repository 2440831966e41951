"""A server with one contender: ``python -m benches.http.serve CONTENDER APPLICATION …``."""

import argparse
import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from typing import Any

from benches.http.application import bare_asgi, bare_wsgi, django, living, startproject
from benches.http.contender import Contender
from benches.http.contenders import CONTENDERS, contender

_DJANGOS: dict[str, Any] = {"django": django, "startproject": startproject}
APPLICATIONS = ("bare", *_DJANGOS)

# So many clients may wait to be accepted.
BACKLOG = 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.http.serve", description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("application", choices=APPLICATIONS)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pool", type=int, required=True, help="connections")
    options = parser.parse_args()
    made = contender(options.contender, options.dsn, options.pool)
    made.set_up(options.application)
    if options.application == "bare":
        make: Any = bare_wsgi if made.threads else bare_asgi
    else:
        make = _DJANGOS[options.application]
        ensure_django(options.application)
    if made.threads:
        serve_threads(made, make(made), options.port)
    else:
        serve_loop(living(made, make(made)), options.port)


def ensure_django(application: str) -> None:
    """Configure Django for a contender that has not done so, since it is not over Django."""
    from django.conf import settings

    from benches.http.configuration import configure

    if not settings.configured:
        configure(application)


def serve_loop(application: Any, port: int) -> None:
    """Serve by uvicorn, in one process, with what ``uvicorn[standard]`` brings."""
    import uvicorn

    uvicorn.run(
        application,
        port=port,
        access_log=False,
        backlog=BACKLOG,
        lifespan="on",
        log_level="warning",
    )


class ThreadOfEachClient(ThreadPoolExecutor):
    """Starts a thread for each connection, even if some are idle, up to as many as may be."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        (connection,) = args
        if getattr(connection, "has_thread", False):
            return super().submit(function, connection)
        connection.has_thread = True
        idle, self._idle_semaphore = self._idle_semaphore, Semaphore(0)
        try:
            return super().submit(function, connection)
        finally:
            self._idle_semaphore = idle


def serve_threads(made: Contender, application: Any, port: int) -> None:
    """Serve by gunicorn, in one process with threads."""
    from gunicorn.app.base import BaseApplication
    from gunicorn.workers.gthread import ThreadWorker

    class Worker(ThreadWorker):
        def get_thread_pool(self) -> ThreadPoolExecutor:
            return ThreadOfEachClient(max_workers=made.threads)

    class Application(BaseApplication):
        def load_config(self) -> None:
            options = {
                "backlog": BACKLOG,
                "bind": f"127.0.0.1:{port}",
                "keepalive": 60,
                "loglevel": "error",
                "threads": made.threads,
                "worker_class": Worker,
                "worker_connections": BACKLOG,
                "worker_exit": lambda server, worker: asyncio.run(made.close()),
                "workers": 1,
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return application

    Application().run()


if __name__ == "__main__":
    main()
