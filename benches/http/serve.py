"""A server with one contender: ``python -m benches.http.serve CONTENDER APPLICATION …``."""

import argparse
from typing import Any

from benches.http.application import bare_asgi, bare_wsgi, django_asgi, django_wsgi, living
from benches.http.contender import Contender
from benches.http.contenders import CONTENDERS, contender

APPLICATIONS = ("bare", "django")

# So many clients may wait to be accepted.
BACKLOG = 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.http.serve", description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("application", choices=APPLICATIONS)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pool", type=int, required=True, help="connections, or threads")
    options = parser.parse_args()
    made = contender(options.contender, options.dsn, options.pool)
    made.set_up()
    if options.application == "django":
        ensure_django()
    if made.is_sync:
        make: Any = bare_wsgi if options.application == "bare" else django_wsgi
        serve_threads(make(made), options.port, options.pool)
    else:
        serve_loop(made, options.application, options.port)


def ensure_django() -> None:
    """Configure Django for a contender that has not done so, since it is not over Django."""
    from django.conf import settings

    from benches.http.configuration import configure

    if not settings.configured:
        configure()


def serve_loop(made: Contender, application: str, port: int) -> None:
    """Serve by uvicorn, in one process, with what ``uvicorn[standard]`` brings."""
    import uvicorn

    make: Any = bare_asgi if application == "bare" else django_asgi
    uvicorn.run(
        living(made, make(made)),
        port=port,
        access_log=False,
        backlog=BACKLOG,
        lifespan="on",
        log_level="warning",
    )


def serve_threads(application: Any, port: int, threads: int) -> None:
    """Serve by gunicorn, in one process with threads."""
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self) -> None:
            options = {
                "backlog": BACKLOG,
                "bind": f"127.0.0.1:{port}",
                "keepalive": 60,
                "loglevel": "error",
                "threads": threads,
                "worker_class": "gthread",
                "worker_connections": BACKLOG,
                "workers": 1,
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return application

    Application().run()


if __name__ == "__main__":
    main()
