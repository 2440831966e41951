"""Other people's suites, run on turbo-orm: ``python -m tests.ecosystem --help``.

The parent process (``__main__``) fetches the source distribution of each package (``source``), has
an environment for its tests (``environment``), and runs them by pytest, a process for each mode
(``worker``). What is put under the tests is that of ``tests.conformance``. A test that fails in a
mode, and in Django alone does not, fails the run unless ``expectations.toml`` has a reason;
``page`` writes what has come out of it into ``docs/ecosystem.md``.
"""
