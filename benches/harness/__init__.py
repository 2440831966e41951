"""The harness of all suites of pytest's: it connects contenders, checks answers, and times rounds.

A suite is a list of cases (``case``), each an operation done by a contender (``contender``).
``harness`` runs them, on event loops (``task``) and in threads (``threads``), and ``record`` writes
what the report reads. ``benches.http`` measures servers, and has a harness of its own.
"""
