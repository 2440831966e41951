"""Lists of rows: what the suites ``queries`` and ``hydration`` have in common.

A case is so many rows of one of the four ``benches.tables``, in a shape, read by a contender.
"""
