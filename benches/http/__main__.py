"""The command: ``python -m benches.http``, which ``make bench-http`` starts."""

import argparse
import sys
from contextlib import suppress
from dataclasses import replace

import psycopg

from atlas.postgres import embedded_dsn
from benches import page, readme
from benches.http import record, schema
from benches.http.contenders import CONTENDERS
from benches.http.display import Display, print_result
from benches.http.endpoints import ENDPOINTS
from benches.http.measurement import Measurement
from benches.http.plan import HANDLERS, QUICK, Plan
from benches.http.result import Result
from benches.http.run import run
from benches.http.serve import APPLICATIONS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches.http",
        description="Put ORMs and drivers behind an HTTP server, and measure them under load.",
        epilog="A run of everything, in how many rounds ever, is recorded in benches/results, and "
        "written into docs/benchmarks.md and the README. What is selected is printed.",
    )
    parser.add_argument("--quick", action="store_true", help="what takes about two minutes")
    parser.add_argument(
        "--handlers",
        action="store_true",
        help="only what compares Django's handlers: about four minutes a round",
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        metavar="NAME",
        help=f"some of: {', '.join(CONTENDERS)}",
    )
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS)
    parser.add_argument("--endpoints", nargs="+", choices=ENDPOINTS)
    parser.add_argument("--clients", nargs="+", type=int, metavar="NUMBER")
    parser.add_argument("--seconds", type=int, help="of each load")
    parser.add_argument("--rounds", type=int)
    return parser.parse_args()


def plan(options: argparse.Namespace) -> Plan:
    """Return the plan that the options select."""
    made = HANDLERS if options.handlers else QUICK if options.quick else Plan()
    seconds = dict(made.seconds)
    chosen = {
        "contenders": options.contenders and tuple(options.contenders),
        "applications": options.applications and tuple(options.applications),
        "endpoints": options.endpoints and tuple(options.endpoints),
        "rounds": options.rounds,
        "seconds": tuple(
            (clients, options.seconds or seconds.get(clients, 2))
            for clients in options.clients or seconds
        ),
    }
    return replace(made, **{name: value for name, value in chosen.items() if value})


def main() -> int:
    options = arguments()
    chosen = plan(options)
    # A connection for each client: some contenders have no pool.
    limit = max(clients for clients, _ in chosen.seconds) + 100
    dsn = embedded_dsn(max_connections=limit, autovacuum="off")
    done: list[Measurement] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        schema.create(connection)
        # An interrupted run prints what it has measured.
        with Display(chosen) as display, suppress(KeyboardInterrupt):
            for measurement in run(chosen, dsn, connection):
                done.append(measurement)
                display.measured(measurement)
        is_whole = display.finished
        made = record.record(chosen, done, connection)
    result = Result(made)
    if is_whole and replace(chosen, rounds=Plan.rounds) == Plan():
        files = [record.write(made), page.write(), readme.write()]
        print(f"{', '.join(str(file) for file in files)} are written.")
    print_result(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
