"""django-ninja's async operations await an async manager, and answer what sync ones do."""

import asyncio
import json

import pytest
from django.shortcuts import aget_object_or_404, get_object_or_404
from django.test import AsyncClient, override_settings
from django.urls import path
from ninja import ModelSchema, NinjaAPI, Schema, Status
from ninja.pagination import LimitOffsetPagination, PageNumberPagination, paginate
from ninja.testing import TestAsyncClient, TestClient
from pydantic import ValidationError

from tests.integrations.guard import guarded
from tests.library.models import Author, Book, Player, Sample, Skill, Tag, Team
from tests.support.answers import django_answer, turbo_answer
from tests.support.givens import teams
from tests.support.scenario import contents
from tests.support.tables import empty
from turbo_orm import async_atomic, bridge

# What goes in and out


class AuthorOut(ModelSchema):
    class Meta:
        model = Author
        fields = ["id", "name", "born"]


class TagOut(ModelSchema):
    class Meta:
        model = Tag
        fields = ["label"]


class BookOut(ModelSchema):
    author: AuthorOut
    translator: AuthorOut | None
    tags: list[TagOut]
    first_tag: str | None = None

    @staticmethod
    def resolve_first_tag(book):
        return next((tag.label for tag in book.tags.all()), None)

    class Meta:
        model = Book
        fields = ["id", "title", "pages", "published"]


class SampleOut(ModelSchema):
    class Meta:
        model = Sample
        exclude = ["blob", "data"]


class CountOut(Schema):
    title: str
    author__name: str


class TeamIn(ModelSchema):
    class Meta:
        model = Team
        fields = ["name", "city"]
        fields_optional = ["city"]


class TeamOut(ModelSchema):
    class Meta:
        model = Team
        fields = ["id", "name", "city"]


class PlayerIn(Schema):
    name: str
    team: int | None
    skills: list[int] = []


class PlayerOut(ModelSchema):
    """Relations by their keys, as ModelSchema has them unless it is told otherwise."""

    class Meta:
        model = Player
        fields = ["id", "name", "rank", "team", "skills"]


BOOKS = Book.objects.order_by("pk").select_related("author", "translator")
SAMPLES = Sample.objects.filter(pk__lte=4).order_by("pk")

ours, theirs = NinjaAPI(urls_namespace="ours"), NinjaAPI(urls_namespace="theirs")
ours.add_decorator(guarded, mode="view")


# Reading


@ours.get("/books", response=list[BookOut])
async def books(request):
    return await BOOKS.prefetch_related("tags").alist()


@theirs.get("/books", response=list[BookOut])
def sync_books(request):
    return BOOKS.prefetch_related("tags")


@ours.get("/books/{pk}", response=BookOut)
async def book(request, pk: int):
    return await aget_object_or_404(BOOKS.prefetch_related("tags"), pk=pk)


@theirs.get("/books/{pk}", response=BookOut)
def sync_book(request, pk: int):
    return get_object_or_404(BOOKS.prefetch_related("tags"), pk=pk)


@ours.get("/samples", response=list[SampleOut])
async def samples(request):
    return [sample async for sample in SAMPLES.all()]


@theirs.get("/samples", response=list[SampleOut])
def sync_samples(request):
    return SAMPLES.all()


@ours.get("/values", response=list[CountOut])
async def values(request):
    return await BOOKS.values("title", "author__name").alist()


@theirs.get("/values", response=list[CountOut])
def sync_values(request):
    return BOOKS.values("title", "author__name")


@ours.get("/offset", response=list[TagOut])
@paginate(LimitOffsetPagination)
async def offset(request):
    return Tag.objects.order_by("pk")


@theirs.get("/offset", response=list[TagOut])
@paginate(LimitOffsetPagination)
def sync_offset(request):
    return Tag.objects.order_by("pk")


@ours.get("/page", response=list[BookOut])
@paginate(PageNumberPagination, page_size=4)
async def page(request):
    return BOOKS.prefetch_related("tags")


@theirs.get("/page", response=list[BookOut])
@paginate(PageNumberPagination, page_size=4)
def sync_page(request):
    return BOOKS.prefetch_related("tags")


PATHS = [
    "/books",
    "/books/6",
    "/books/99",
    "/books/x",
    "/samples",
    "/values",
]
PAGES = ["/offset?limit=2&offset=1", "/page?page=3", "/page?page=99"]


def answered(response):
    return response.status_code, json.loads(response.content or "null")


@pytest.mark.parametrize("path", PATHS)
def test_an_operation_reads_what_a_sync_one_does(path, library, run):
    async def ask():
        return answered(await TestAsyncClient(ours).get(path))

    expected = django_answer(lambda: answered(TestClient(theirs).get(path)))
    assert run(lambda: turbo_answer(ask)) == expected


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_what_a_sync_one_has(path, library, run):
    """By the same statements, which ninja makes in another order in async code."""

    async def ask():
        return answered(await TestAsyncClient(ours).get(path))

    expected = django_answer(lambda: answered(TestClient(theirs).get(path)))
    answer = run(lambda: turbo_answer(ask))
    for each in (answer, expected):
        each["statements"].sort()
    assert answer == expected


UNREAD = {
    "a queryset": (
        lambda: Book.objects.all(),
        r"response\n  Error extracting attribute: SynchronousOnlyOperation.*alist\(\)",
    ),
    "a relation": (
        lambda: Book.objects.prefetch_related("tags").alist(),
        r"author\n  Error extracting attribute: SynchronousOnlyOperation",
    ),
    "a relation of many": (
        lambda: BOOKS.alist(),
        r"tags\n  Error extracting attribute: SynchronousOnlyOperation.*alist\(\)",
    ),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_has_not_been_read_cannot_be_read_by_a_schema(case, library, run):
    find, told = UNREAD[case]
    api = NinjaAPI(urls_namespace=case)

    @api.get("/", response=list[BookOut])
    async def unread(request):
        found = find()
        return await found if asyncio.iscoroutine(found) else found

    with pytest.raises(ValidationError, match=told):
        run(lambda: TestAsyncClient(api).get("/"))


# Writing


@ours.post("/teams", response={201: TeamOut})
async def create_team(request, data: TeamIn):
    return Status(201, await Team.objects.acreate(**data.dict(exclude_unset=True)))


@theirs.post("/teams", response={201: TeamOut})
def sync_create_team(request, data: TeamIn):
    return Status(201, Team.objects.create(**data.dict(exclude_unset=True)))


@ours.patch("/teams/{pk}", response=TeamOut)
async def change_team(request, pk: int, data: TeamIn):
    team = await aget_object_or_404(Team, pk=pk)
    for name, value in data.dict(exclude_unset=True).items():
        setattr(team, name, value)
    await team.asave()
    return team


@theirs.patch("/teams/{pk}", response=TeamOut)
def sync_change_team(request, pk: int, data: TeamIn):
    team = get_object_or_404(Team, pk=pk)
    for name, value in data.dict(exclude_unset=True).items():
        setattr(team, name, value)
    team.save()
    return team


@ours.post("/players", response=PlayerOut)
async def create_player(request, data: PlayerIn):
    player = await Player.objects.acreate(name=data.name, team_id=data.team)
    await player.skills.aset(await Skill.objects.filter(pk__in=data.skills).alist())
    return await Player.objects.prefetch_related("skills").aget(pk=player.pk)


@theirs.post("/players", response=PlayerOut)
def sync_create_player(request, data: PlayerIn):
    player = Player.objects.create(name=data.name, team_id=data.team)
    player.skills.set(list(Skill.objects.filter(pk__in=data.skills)))
    return Player.objects.prefetch_related("skills").get(pk=player.pk)


@ours.delete("/players/{pk}", response={204: None})
async def delete_player(request, pk: int):
    await (await aget_object_or_404(Player, pk=pk)).adelete()
    return Status(204, None)


@theirs.delete("/players/{pk}", response={204: None})
def sync_delete_player(request, pk: int):
    get_object_or_404(Player, pk=pk).delete()
    return Status(204, None)


WRITES = [
    ("post", "/teams", {"name": "new"}),
    ("post", "/teams", {"city": "no name"}),
    ("post", "/teams", {"name": "red", "city": "not unique"}),
    ("patch", "/teams/2", {"name": "green"}),
    ("patch", "/teams/99", {"name": "green"}),
    ("post", "/players", {"name": "new", "team": 1, "skills": [1, 3]}),
    ("post", "/players", {"name": "new", "team": None}),
    ("delete", "/players/2", None),
    ("delete", "/players/99", None),
]


@pytest.mark.parametrize(("method", "path", "data"), WRITES)
def test_an_operation_writes_what_a_sync_one_does(method, path, data, tables, run):
    def started():
        empty("default")
        teams()

    async def ask():
        return answered(await getattr(TestAsyncClient(ours), method)(path, json=data))

    def ask_theirs():
        return answered(getattr(TestClient(theirs), method)(path, json=data))

    started()
    expected = {**django_answer(ask_theirs), "tables": contents()}
    started()
    assert {**run(lambda: turbo_answer(ask)), "tables": contents()} == expected


def test_an_operation_that_raises_undoes_its_transaction(scratch, run):
    api = NinjaAPI(urls_namespace="transactions")

    @api.post("/")
    async def create_two(request):
        async with async_atomic():
            await Team.objects.acreate(name="one")
            await Team.objects.acreate(name="one")

    @api.exception_handler(Exception)
    def refuse(request, exc):
        return api.create_response(request, {"error": type(exc).__name__}, status=409)

    response = run(lambda: TestAsyncClient(api).post("/"))
    assert (response.status_code, response.json()) == (409, {"error": "IntegrityError"})
    assert not Team.objects.exists()


def test_schemas_are_made_of_instances(library, run):
    queryset = BOOKS.prefetch_related("tags")

    async def make():
        book = await queryset.aget(pk=6)
        return BookOut.from_orm(book).dict(), BookOut.model_validate(book).dict()

    made, validated = run(make)
    assert made == validated == BookOut.from_orm(queryset.get(pk=6)).dict()


def test_a_schema_made_on_the_bridge_may_query(library, run):
    async def make():
        return (await bridge.run(BookOut.from_orm, await Book.objects.aget(pk=6))).dict()

    assert run(make) == BookOut.from_orm(Book.objects.get(pk=6)).dict()


# Behind Django's handler

urlpatterns = [path("api/", ours.urls)]


@override_settings(ALLOWED_HOSTS=["testserver"], ROOT_URLCONF=__name__)
def test_requests_reach_operations(library, scratch):
    async def ask():
        client = AsyncClient()
        created = await client.post("/api/teams", {"name": "new"}, "application/json")
        found = await client.get("/api/books/6")
        missing = await client.get("/api/books/99")
        return [answered(response) for response in (created, found, missing)]

    assert asyncio.run(ask()) == [
        (201, {"id": 1, "name": "new", "city": ""}),
        (200, TestClient(theirs).get("/books/6").json()),
        (404, {"detail": "Not Found"}),
    ]
