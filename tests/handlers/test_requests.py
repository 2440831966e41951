"""Requests of every kind: bodies, names, odd bytes, and the middleware that looks at them."""

import asyncio
import json
import re

import pytest
from django.test import override_settings

from tests.handlers.asking import EventLoopHandler, ask

DJANGOS = {
    name.rpartition(".")[2]: f"django.middleware.{name}"
    for name in (
        "cache.FetchFromCacheMiddleware",
        "cache.UpdateCacheMiddleware",
        "clickjacking.XFrameOptionsMiddleware",
        "common.CommonMiddleware",
        "common.BrokenLinkEmailsMiddleware",
        "csrf.CsrfViewMiddleware",
        "gzip.GZipMiddleware",
        "http.ConditionalGetMiddleware",
        "locale.LocaleMiddleware",
        "security.SecurityMiddleware",
    )
}
PLACES = ["thread", "bridge"]


def multipart(**files):
    boundary = "boundary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.txt"'
        f"\r\n\r\n{content}\r\n"
        for name, content in files.items()
    ]
    body = "".join(parts) + f"--{boundary}--\r\n"
    return body.encode(), {"content-type": f"multipart/form-data; boundary={boundary}"}


def parted(body, size):
    return [body[at : at + size] for at in range(0, len(body), size)] or [b""]


def posted(both, view, body, headers=None, size=None, **kwargs):
    """Post to a view at each place, in one part or in many."""
    paths = [f"/{place}/{view}" for place in PLACES]
    parts = [body] if size is None else parted(body, size)
    return both(*paths, method="POST", parts=parts, headers=headers, **kwargs)[0]


@pytest.mark.parametrize("size", [None, 1000])
@pytest.mark.parametrize("length", [0, 10, 5000, 200_000])
@pytest.mark.parametrize("signals", [False, True])
def test_a_body(length, size, signals, both):
    body = bytes(range(250)) * (length // 250) + b"x" * (length % 250)
    with override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=100_000, DATA_UPLOAD_MAX_MEMORY_SIZE=None):
        assert posted(both, "echo", body, size=size, signals=signals).body == body
        posted(both, "read", body, size=size, signals=signals)


@pytest.mark.parametrize("size", [None, 1000])
@pytest.mark.parametrize("kept", ["memory", "disk"])
@pytest.mark.parametrize("csrf", [False, True])
def test_an_upload(csrf, kept, size, both):
    body, headers = multipart(one="1" * 5000, two="ü")
    maximum = 100 if kept == "disk" else 10**6
    names = [DJANGOS["CsrfViewMiddleware"]] if csrf else []
    if csrf:
        secret = "a" * 32
        headers |= {"cookie": f"csrftoken={secret}", "x-csrftoken": secret}
    with override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=maximum, MIDDLEWARE=names):
        answer = posted(both, "upload", body, headers, size)
    kind = "TemporaryUploadedFile" if kept == "disk" else "InMemoryUploadedFile"
    assert json.loads(answer.text)["files"]["one"][:2] == [kind, 5000]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"a=" + b"x" * 200, {"content-type": "application/x-www-form-urlencoded"}, 400),
        (b"&".join([b"a=1"] * 9), {"content-type": "application/x-www-form-urlencoded"}, 400),
        (multipart(a="1", b="2", c="3")[0], multipart()[1], 400),
        (b"odd", {"content-type": "multipart/form-data"}, 400),
        (b"odd", {"content-type": "multipart/form-data; boundary=b"}, 200),
        (b"a=%FF%fe", {"content-type": "application/x-www-form-urlencoded; charset=nope"}, None),
        (b"\xff\xfe=\x00", {"content-type": "application/x-www-form-urlencoded"}, None),
        (b"a=1", {"content-length": "odd"}, None),
        (b"a=1", {"content-length": "-5", "content-type": multipart()[1]["content-type"]}, None),
    ],
)
@pytest.mark.parametrize("csrf", [False, True])
def test_a_form_that_is_refused(body, headers, status, csrf, both):
    with override_settings(
        DATA_UPLOAD_MAX_MEMORY_SIZE=100 if status == 400 and body.startswith(b"a=x") else 2**20,
        DATA_UPLOAD_MAX_NUMBER_FIELDS=5,
        DATA_UPLOAD_MAX_NUMBER_FILES=2,
        MIDDLEWARE=[DJANGOS["CsrfViewMiddleware"]] if csrf else [],
    ):
        posted(both, "upload", body, headers)


@pytest.mark.parametrize("name", [None, "/forced", "/forced/"])
@pytest.mark.parametrize("root", ["", "/mount", "/mount/"])
@pytest.mark.parametrize("path", ["/names/", "/mount/names/", "/forced/names/", "/mounted/names/"])
def test_names(path, root, name, both):
    with override_settings(FORCE_SCRIPT_NAME=name):
        both(path, root_path=root)


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/bridge/sync?a=%FF&b=ü", {}),
        ("/bridge/sync", {"query_string": b"\xff\xfe"}),
        ("/bridge/sync", {"query_string": "text"}),
        ("/\udc80\ud800", {}),
        ("/bridge/cookies", {"headers": {"cookie": "\xff=\xfe; a"}}),
        ("/bridge/sync", {"headers": {"host": "evil.example"}}),
        ("/names/", {"headers": {"host": "\xff\xfe"}}),
        ("/names/", {"headers": {"host": ""}}),
        ("/names/", {"client": None, "server": None}),
        ("/names/", {"scheme": "https"}),
        ("/names/", {"method": "brew"}),
        ("/missing/\x00", {}),
    ],
)
@pytest.mark.parametrize("signals", [False, True])
def test_odd_requests(path, scope, signals, both):
    with override_settings(MIDDLEWARE=[DJANGOS["CommonMiddleware"]]):
        both(path, signals=signals, **scope)


def test_other_protocols(both):
    assert "not websocket" in both("/", type="websocket").raised


HEADERS = [
    {},
    {"accept-encoding": "gzip"},
    {"if-none-match": '"etag"'},
    {"if-modified-since": "Sat, 29 Oct 2044 19:43:31 GMT"},
    {"accept-language": "de"},
    {"user-agent": "evil", "referer": "http://testserver/other"},
]
MIDDLEWARE_PATHS = [
    "/bridge/conditional",
    "/thread/conditional",
    "/bridge/cached",
    "/thread/cached",
    "/async/rendered_async",
    "/slashed",
    "/missing",
    "/raise/bridge/500",
    "/bridge/file",
]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
@pytest.mark.parametrize("names", [[name] for name in DJANGOS] + [[*DJANGOS]], ids=str)
def test_djangos_middleware(names, both):
    def same(answer):
        # The compressed bytes have a time, and bytes of random length.
        is_gzip = answer.header.get("content-encoding") == "gzip"
        left = [pair for pair in answer.headers if not is_gzip or pair[0] != b"Content-Length"]
        return answer._replace(body=b"" if is_gzip else answer.body, headers=left).compared()

    with override_settings(
        MIDDLEWARE=[DJANGOS[name] for name in names],
        DISALLOWED_USER_AGENTS=[re.compile("evil")],
        PREPEND_WWW=False,
        LANGUAGES=[("en", "English"), ("de", "Deutsch")],
        SECURE_HSTS_SECONDS=60,
    ):
        paths = [*MIDDLEWARE_PATHS, *MIDDLEWARE_PATHS[:4]]
        for headers in HEADERS:
            both(*paths, headers=headers, same=same, signals=False)


@pytest.fixture
def atomic_requests():
    """Have each view be in a transaction."""
    from django.db import connections

    options = connections.settings["default"]
    before, options["ATOMIC_REQUESTS"] = options["ATOMIC_REQUESTS"], True
    yield
    options["ATOMIC_REQUESTS"] = before


@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.parametrize("view", ["written", "not_atomic", "rendered", "on_commit", "streamed"])
@pytest.mark.parametrize("query", ["", "?fail=1"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_atomic_requests(view, query, both):
    paths = [f"/{place}/{view}{query}" for place in PLACES]
    both(*paths, leaks=True)


@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.parametrize(("query", "status", "left"), [("", 200, 1), ("?fail=1", 500, 0)])
def test_atomic_requests_of_async_views(query, status, left, scratch):
    """Those that Django's handler refuses."""
    from tests.library.models import Account

    async def main():
        return await ask(EventLoopHandler(), f"/async/written_async{query}")

    assert asyncio.run(main()).status == status
    assert Account.objects.count() == left
