"""Django's own tests, run on turbo-orm: ``python -m tests.conformance --help``.

The parent process (``__main__``) fetches Django's tests (``source``) and shares their labels out
to workers (``worker``), each a process with databases of its own. A worker puts turbo-orm under
the tests by one of three ways (``modes``), and reports what becomes of each test. ``listed`` says
which must fail, and why; ``page`` writes what has come out of it into ``docs/conformance.md``.
"""
