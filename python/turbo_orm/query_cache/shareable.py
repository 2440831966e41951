"""Which statements may be sent over a connection that several tasks use at once, by their SQL.

Those that only read, lock nothing, and need nothing of the session. A function that is not known
here may do any of that. What the SQL does not show is not seen: what views, rules, operators,
casts and policies of the database call.
"""

from __future__ import annotations

import re

_CALL = re.compile(r"([\w$.\"]+)\s*\(")
# What may stand before a parenthesis: keywords, and functions that only compute.
_KNOWN = re.compile(
    "ALL|AND|ANY|ARRAY|AS|BETWEEN|BY|CASE|DISTINCT|ELSE|EXCEPT|EXISTS|FILTER|FROM|HAVING|IN|"
    "INTERSECT|JOIN|LIKE|NOT|ON|OR|OVER|SELECT|THEN|UNION|VALUES|WHEN|WHERE|"
    "ABS|AVG|BOOL_AND|BOOL_OR|CAST|CEILING|COALESCE|CONCAT|COUNT|DATE_TRUNC|DENSE_RANK|EXTRACT|"
    "FIRST_VALUE|FLOOR|GREATEST|HOST|LAG|LAST_VALUE|LEAD|LEAST|LEFT|LENGTH|LOWER|LPAD|LTRIM|MAX|"
    "MD5|MIN|MOD|NTH_VALUE|NTILE|NULLIF|POWER|RANK|REPEAT|REPLACE|REVERSE|RIGHT|ROUND|ROW_NUMBER|"
    "RPAD|RTRIM|SIGN|SQRT|STRING_AGG|STRPOS|SUBSTRING|SUM|TRIM|UPPER|VARCHAR",
    re.IGNORECASE | re.ASCII,
)
# What locks rows, or makes a table; several statements; and comments, which may be anywhere.
_MORE = re.compile(r"\bFOR\s+(?:NO\s+KEY|KEY|SHARE|UPDATE)\b|\bINTO\b|;|--|/\*", re.IGNORECASE)


def is_shareable(sql: str) -> bool:
    """Return whether a statement may be executed on a shared connection."""
    return (
        sql.startswith(("SELECT ", "(SELECT "))
        and _MORE.search(sql) is None
        and all(map(_KNOWN.fullmatch, _CALL.findall(sql)))
    )
