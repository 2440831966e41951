"""Whichever build of psycopg is used: the core reads its results, and knows its loaders.

If it did not, the driver would read them, with the same answers.
"""

import os

import pytest
from psycopg import pq

from tests.library.fields import Arrays, Bag, Lettered, Ranges, Searched, Whole
from tests.library.models import Sample
from turbo_orm import explain_hydration
from turbo_orm.driver import libpq

# What Django's own converters have to make of values that are read natively
CONVERTED = {"blobs", "documents", "exact_documents"}


def test_it_is_the_build_that_was_asked_for():
    assert os.environ.get("PSYCOPG_IMPL", pq.__impl__) == pq.__impl__


def test_results_are_read_where_they_are():
    assert libpq.bind()


MODELS = [Arrays, Lettered, Ranges, Sample, Searched, Whole]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_values_are_read_natively(model, library):
    assert_native(model)


def test_hstore_is_read_natively(extended):
    assert_native(Bag)


def assert_native(model):
    explanation = explain_hydration(model.objects.all())
    assert {column.name: column.reason for column in explanation.columns if column.reason} == {}
    converted = {column.name for column in explanation.columns if column.converters}
    assert converted <= CONVERTED
