"""The harness of pytest's suites: it connects contenders, checks answers, and times rounds.

A suite is a list of cases (``case``), each an operation done by a contender (``contender``).
``harness`` runs them, on event loops (``task``) and in threads (``threads``), and ``record``
writes what the report reads. ``pool`` and ``address`` have the database's settings.
``benches.http`` measures servers, and has a harness of its own.
"""
