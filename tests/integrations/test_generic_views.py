"""Django's generic views, which are sync, over models of an async manager."""

import re

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_list_or_404, get_object_or_404
from django.test import Client, override_settings
from django.urls import path
from django.views.generic import (
    ArchiveIndexView,
    CreateView,
    DeleteView,
    DetailView,
    ListView,
    UpdateView,
)
from django.views.generic.dates import YearArchiveView

from tests.library.models import Account, Author, Book
from tests.support.answers import django_answer, sync_answer

TEMPLATES = {
    "list.html": (
        "{% for book in page_obj %}{{ book.title }} by {{ book.author.name }}"
        "{% for tag in book.tags.all %} {{ tag.label }}{% endfor %}; {% endfor %}"
        "{{ page_obj.number }}/{{ paginator.num_pages }} of {{ paginator.count }}"
    ),
    "detail.html": (
        "{{ author }}: {{ author.name }}, {{ author.books.count }} {{ author.books.first.title }}"
        "{% if author.books.exists %} {{ author.friends.all|length }}{% endif %}"
        "{% with books=author.books.all %}{{ books|first }}{{ books|length }}{% endwith %}"
        "{{ author.delete }}{{ author.books.create }}{{ author.books.all.delete }}"
        "{{ author.adelete }}{{ author.books.acreate }}{{ author.books.all.adelete }}"
    ),
    "years.html": "{% for date in date_list %}{{ date|date:'Y' }} {% endfor %}{{ latest|length }}",
    "year.html": "{% for book in object_list %}{{ book }} {% endfor %}{{ date_list|length }}",
    "form.html": "{{ form.as_p }}",
}


class BookList(ListView):
    queryset = Book.objects.select_related("author").prefetch_related("tags").order_by("pk")
    paginate_by = 4
    template_name = "list.html"


class Archive(ArchiveIndexView):
    model = Book
    allow_future = True
    date_field = "published"
    context_object_name = "latest"
    template_name = "years.html"


class Year(YearArchiveView):
    model = Book
    allow_future = True
    date_field = "published"
    make_object_list = True
    template_name = "year.html"


class Form:
    model = Account
    template_name = "form.html"
    success_url = "/"


class Create(Form, CreateView):
    fields = ["owner", "balance"]


class Update(Form, UpdateView):
    fields = ["balance"]
    slug_field = slug_url_kwarg = "owner"


class Delete(Form, DeleteView):
    pass


def shortcuts(request, name):
    author = get_object_or_404(Author, name=name)
    books = get_list_or_404(author.books.filter(pages__gt=100).order_by("pk"))
    return HttpResponse(str([author.name, *books]))


urlpatterns = [
    path("books/", BookList.as_view()),
    path("authors/<int:pk>/", DetailView.as_view(model=Author, template_name="detail.html")),
    path("archive/", Archive.as_view()),
    path("archive/<int:year>/", Year.as_view()),
    path("shortcuts/<str:name>/", shortcuts),
    path("accounts/add/", Create.as_view()),
    path("accounts/<int:pk>/delete/", Delete.as_view()),
    path("accounts/<str:owner>/", Update.as_view()),
]


@pytest.fixture(autouse=True)
def _project(library):
    loaders = [("django.template.loaders.locmem.Loader", TEMPLATES)]
    backend = "django.template.backends.django.DjangoTemplates"
    with override_settings(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        TEMPLATES=[{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}],
    ):
        yield


PATHS = [
    "/books/",
    "/books/?page=3",
    "/books/?page=last",
    "/books/?page=99",
    "/authors/1/",
    "/authors/99/",
    "/archive/",
    "/archive/2005/",
    "/shortcuts/Ada/",
    "/shortcuts/Zoë/",
    "/shortcuts/nobody/",
]


def shown(path):
    # A request would close the connection whose statements are compared.
    with transaction.atomic():
        response = Client().get(path)
    return response.status_code, response.content.decode()


@pytest.mark.parametrize("path", PATHS)
def test_a_view_shows_what_django_shows(path):
    expected = django_answer(lambda: shown(path))
    assert expected["statements"]
    assert sync_answer(lambda: shown(path)) == expected


def test_a_template_does_not_call_what_alters_data():
    _, text = shown("/authors/1/")
    assert "Ada" in text
    assert "coroutine" not in text
    assert Author.objects.filter(pk=1).exists()
    assert Book.objects.count() == 30


def test_views_write(scratch):
    client = Client()
    assert client.post("/accounts/add/", {"owner": "Ada", "balance": 1}).status_code == 302
    refused = client.post("/accounts/add/", {"owner": "Ada", "balance": 1})
    assert re.search("Account with this Owner already exists", refused.content.decode())
    assert client.post("/accounts/Ada/", {"balance": 5}).status_code == 302
    assert list(Account.objects.values_list("owner", "balance")) == [("Ada", 5)]
    assert client.post(f"/accounts/{Account.objects.get().pk}/delete/").status_code == 302
    assert not Account.objects.exists()
