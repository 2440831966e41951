"""Random chains of methods, with random values: what is learnt from one is right for another."""

from datetime import UTC, date, datetime
from decimal import Decimal

from django.db.models import Avg, Case, Count, F, Q, Value, When
from django.db.models.functions import Coalesce, Length, TruncYear, Upper
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library import fields, lineage
from tests.library import models as m
from tests.support.random_lookups import PATHS, conditions, trees

examples = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=250,
    suppress_health_check=list(HealthCheck),
)

NAMES = {
    m.Book: ["pk", "title", "pages", "author", "author__name", "published", "tags", "translator"],
    m.Sample: ["pk", "text", "real", "moment", "data", "amount", "flag", "span"],
    fields.Speaker: ["pk", "first", "second__name", "teacher__first"],
    lineage.Palace: ["pk", "towers", "rooms", "name", "region__name"],
    m.Order: ["pk", "shop", "total"],
    fields.OrderLine: ["pk", "shop", "order__total"],
}
RELATED = {
    m.Book: ["author", "translator", "author__profile", "tags", "nothing"],
    fields.Speaker: ["first", "second", "teacher__second"],
    lineage.Palace: ["region", "twin", "as_inn", "rival"],
    fields.OrderLine: ["order"],
}
PREFETCHED = {
    m.Book: ["tags", "notes", "author__books"],
    fields.Speaker: ["pupils", "first"],
    lineage.Palace: ["tours", "rivals"],
    m.Order: ["lines"],
}
EXPRESSIONS = [
    Value(1),
    Value(Decimal("1.0")),
    Value(Decimal("1.00")),
    Value(datetime(2024, 2, 29, tzinfo=UTC)),
    Value(date(2024, 2, 29)),
    Value("%s"),
    F("pk"),
    F("nothing"),
    F("pk") * 2,
    Count("*"),
    Count("tags", distinct=True, filter=Q(pages__gt=100)),
    Count("tags", distinct=True, filter=Q(pages__gt=200)),
    Avg("pages"),
    Upper("title"),
    Upper(Coalesce("title", Value("x"))),
    Length("text"),
    TruncYear("published"),
    TruncYear("moment"),
    Q(pk__gt=1),
    Q(pk__in=[1, 2]),
    Case(When(pages__in=[37, 74], then=Value(1)), When(pk=1, then="pk"), default=Value(0)),
    Case(When(pages__in=[37, 37], then=Value(1)), default=Value(0)),
]
SLICES = [slice(1), slice(3), slice(1, 4), slice(2, 30), slice(2, None), slice(5, None)]
ODD_SLICES = [slice(0, 0), slice(-1), slice(5, 2), slice(0, 3), slice(None), slice(1, 4, 2)]
ANY_SLICE = st.sampled_from(SLICES) | st.sampled_from(ODD_SLICES)


def of_method(name, *args, **kwargs):
    return lambda queryset, _: getattr(queryset, name)(*args, **kwargs)


@st.composite
def steps(draw, model):
    """Draw a step: a function of a queryset, and of which values are to be used."""
    names = NAMES.get(model, ["pk"])
    some = st.lists(st.sampled_from(names), max_size=3)
    kind = draw(st.sampled_from(["filter", "tree", "other"]))
    if kind == "other":
        kind = draw(st.sampled_from(OTHERS))
    match kind:
        case "filter":
            method = draw(st.sampled_from(["filter", "filter", "exclude"]))
            given = draw(st.lists(conditions(model), min_size=1, max_size=2))
            return lambda queryset, which: getattr(queryset, method)(
                **dict([condition(which) for condition in given])
            )
        case "tree":
            method = draw(st.sampled_from(["filter", "exclude"]))
            tree = draw(trees(model))
            return lambda queryset, which: getattr(queryset, method)(tree(which))
        case "order_by":
            reverse = draw(st.sampled_from(["", "-"]))
            return of_method("order_by", *[reverse + name for name in draw(some)])
        case "order_by F":
            ascending = F(draw(st.sampled_from(names))).asc(nulls_last=draw(st.booleans()) or None)
            return of_method("order_by", ascending)
        case "slice":
            slices = draw(st.tuples(ANY_SLICE, ANY_SLICE))
            return lambda queryset, which: queryset[slices[which]]
        case "select_related":
            return of_method("select_related", *draw(SOME_OF(RELATED.get(model, [None]))))
        case "prefetch_related":
            return of_method("prefetch_related", *draw(SOME_OF(PREFETCHED.get(model, [None]))))
        case "annotate" | "alias":
            return of_method(kind, **{draw(st.sampled_from("ab")): draw(EXPRESSED)})
        case "filter by an annotation":
            return lambda queryset, which: queryset.filter(a__gt=which)
        case "values with an expression":
            return of_method("values", *draw(some), c=draw(EXPRESSED))
        case "values_list":
            how = draw(st.sampled_from([{}, {"flat": True}, {"named": True}]))
            return of_method("values_list", *draw(some), **how)
        case "all" | "reverse":
            return of_method(kind)
    return of_method(kind, *draw(some))


OTHERS = ["order_by", "order_by F", "slice", "select_related", "prefetch_related", "annotate"]
OTHERS += ["alias", "filter by an annotation", "values with an expression", "values_list"]
OTHERS += ["all", "reverse", "distinct", "only", "defer", "values"]
EXPRESSED = st.sampled_from(EXPRESSIONS)


def SOME_OF(names):
    return st.lists(st.sampled_from(names), min_size=1, max_size=2)


TERMINALS = ["alist", "alist", "aget", "afirst", "alast", "acount", "aexists"]


@examples
@given(data=st.data(), terminal=st.sampled_from(TERMINALS))
def test_random_chains(data, terminal, chains):
    model = data.draw(st.sampled_from(MODELS))
    taken = data.draw(st.lists(steps(model), min_size=1, max_size=4))

    def make(which):
        queryset = model.objects.all()
        for step in taken:
            queryset = step(queryset, which)
        return queryset

    chains(make, 0, 1, 0, terminal=terminal)


MODELS = sorted(PATHS, key=lambda model: model.__name__)
