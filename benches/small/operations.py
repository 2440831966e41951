"""The operations."""

from benches.small import values
from benches.small.operation import Operation

OPERATIONS = [
    Operation("aget", "an article by its key", "get", "one", values.key),
    Operation("alist", "the twenty articles of a section", "rows", "all", values.section),
    Operation(
        "join",
        "ten articles with their writers: long ones by writers from a given country, except in "
        "one section, latest first",
        "join",
        "all",
        values.words_country_and_section,
    ),
    Operation("acount", "how many articles a section has", "count", "one", values.section),
    Operation(
        "aexists",
        "whether a section has an article with at least a given number of words",
        "exists",
        "one",
        values.section_and_words,
    ),
    Operation("acreate", "a new article", "create", "one", values.article, writes=True),
    Operation(
        "aupdate", "one column of an article", "update", "", values.words_and_key, writes=True
    ),
    Operation(
        "adelete", "an article that doesn't exist", "delete", "", values.no_key, writes=True
    ),
]

#: Those of sync code.
IN_SYNC_CODE = [
    Operation("get", "an article by its key", "get", "one", values.key),
    Operation("ten rows", "the first ten articles of a section", "ten", "all", values.section),
    Operation("count", "how many articles a section has", "count", "one", values.section),
]
