"""Random chains with others in them: as values, in subqueries, and combined with them."""

from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from hypothesis import given
from hypothesis import strategies as st

from tests.query_cache.test_random_chains import (
    MODELS,
    NAMES,
    RELATED,
    TERMINALS,
    examples,
    of_method,
    steps,
)
from tests.support.random_lookups import PATHS, conditions

# Each is given the outer queryset, the inner one, the name of a relation, and that of a column.
USES = {
    "in": lambda outer, inner, relation, name: outer.filter(pk__in=inner),
    "in a column": lambda outer, inner, relation, name: outer.filter(pk__in=inner.values(name)),
    "relation": lambda outer, inner, relation, name: outer.filter(**{f"{relation}__in": inner}),
    "not in": lambda outer, inner, relation, name: outer.exclude(**{f"{relation}__in": inner}),
    "exact": lambda outer, inner, relation, name: outer.filter(**{relation: inner[:1]}),
    "greater": lambda outer, inner, relation, name: outer.filter(pk__gt=inner.values(name)[:1]),
    "exists": lambda outer, inner, relation, name: outer.filter(Exists(inner)),
    "negated": lambda outer, inner, relation, name: outer.filter(~Exists(inner), pk__gt=0),
    "excluded": lambda outer, inner, relation, name: outer.exclude(Exists(inner)),
    "or": lambda outer, inner, relation, name: outer.filter(Q(pk__in=inner) | Q(Exists(inner))),
    "annotated": lambda outer, inner, relation, name: outer.annotate(a=Exists(inner)),
    "column": lambda outer, inner, relation, name: outer.annotate(
        a=Subquery(inner.values(name)[:1])
    ),
    "queryset": lambda outer, inner, relation, name: outer.annotate(a=inner.values(name)[:1]),
    "inside": lambda outer, inner, relation, name: outer.annotate(
        a=Coalesce(Subquery(inner.values("pk")[:1]), 0)
    ),
    "order": lambda outer, inner, relation, name: outer.order_by(
        Subquery(inner.values(name)[:1]).desc(), "pk"
    ),
    "values": lambda outer, inner, relation, name: outer.values("pk", a=Exists(inner)),
}
COMBINED = ["union", "union", "intersection", "difference"]


@st.composite
def querysets(draw, model, depth=1, refers=False):
    """Draw a function of which values are to be used, which returns a queryset."""
    taken = draw(st.lists(nesting_steps(model, depth), max_size=2 if depth else 1))

    def make(which):
        queryset = model.objects.all()
        if refers:
            queryset = queryset.filter(pk=OuterRef("pk"))
        for step in taken:
            queryset = step(queryset, which)
        return queryset

    return make


@st.composite
def nesting_steps(draw, model, depth):
    """Draw a step, of which many have another queryset in them."""
    if depth == 0 and (model not in PATHS or draw(st.booleans())):
        return of_method("order_by", "pk")
    if depth == 0:
        condition = draw(conditions(model))
        return lambda queryset, which: queryset.filter(**dict([condition(which)]))
    kind = draw(st.sampled_from(["step", "use", "use", "combine"]))
    if kind == "step":
        return draw(steps(model))
    if kind == "combine":
        method = draw(st.sampled_from(COMBINED))
        other = draw(querysets(model, depth - 1))
        options = {"all": True} if method == "union" and draw(st.booleans()) else {}
        return lambda queryset, which: getattr(queryset, method)(other(which), **options)
    relation = draw(st.sampled_from(["pk", *RELATED.get(model, [])])).partition("__")[0]
    nested = model
    if relation in {field.name for field in model._meta.get_fields() if field.is_relation}:
        nested = draw(st.sampled_from([model._meta.get_field(relation).related_model, *MODELS]))
    inner = draw(querysets(nested, depth - 1, draw(st.booleans())))
    use = USES[draw(st.sampled_from([*USES]))]
    name = draw(st.sampled_from(["pk", *NAMES.get(nested, [])]))
    return lambda queryset, which: use(queryset, inner(which), relation, name)


@examples
@given(data=st.data(), terminal=st.sampled_from(TERMINALS))
def test_random_subqueries(data, terminal, chains):
    make = data.draw(querysets(data.draw(st.sampled_from(MODELS)), depth=2))
    chains(make, 0, 1, 0, terminal=terminal)


@examples
@given(data=st.data())
def test_random_combinations(data, chains):
    model = data.draw(st.sampled_from(MODELS))
    one, other = data.draw(querysets(model)), data.draw(querysets(model))
    method = data.draw(st.sampled_from(COMBINED))
    after = data.draw(st.lists(steps(model), max_size=2))

    def make(which):
        queryset = getattr(one(which), method)(other(which))
        for step in after:
            queryset = step(queryset, which)
        return queryset

    chains(make, 0, 1, 0, terminal=data.draw(st.sampled_from(TERMINALS)))
