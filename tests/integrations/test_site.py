"""The atlas as a site: what a visitor asks for, of uvicorn, and from which thread it comes."""

import json
import re
from http.cookiejar import CookieJar
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

from tests.support.atlas_site import IN_A_THREAD, ROWS, atlas_site
from tests.support.project import run_python


class Visitor:
    """A client with cookies, which follows redirects."""

    def __init__(self, url):
        self.url = url
        self.open = build_opener(HTTPCookieProcessor(CookieJar())).open

    def get(self, path, **data):
        """Return the text of a page; with data, which are posted to it."""
        posted = urlencode(data).encode() if data else None
        with self.open(self.url + path, posted) as response:
            return response.read().decode()

    def status(self, path):
        try:
            self.get(path)
        except HTTPError as error:
            return error.code
        return 200

    def events(self, path, number):
        """Return the first of the events that a path sends."""
        with self.open(self.url + path) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            lines = (response.readline() for _ in range(2 * number))
            return [json.loads(line.removeprefix(b"data: ")) for line in lines if line != b"\n"]


def test_a_visit(tables, tmp_path):
    with atlas_site(tmp_path) as site:
        assert site.has_threads(1)
        visitor = Visitor(site.url)
        pages(visitor)
        api(visitor)
        assert [city["rank"] for city in visitor.events("events/", 2)] == [1, 2]
        assert site.has_threads(1)
        administration(visitor, site.password)
        assert site.has_threads(1)
        logged = site.end()
    assert {request for request, hops in logged if hops} == IN_A_THREAD
    asked = {request for request, _ in logged}
    assert {"GET / 200", "GET /events/ 200", "GET /admin/atlas/city/ 200"} < asked


def pages(visitor):
    front = visitor.get("")
    assert f"{ROWS} cities, page 1 of {ROWS // 20}" in front
    assert re.search(r"0 thread hops\.\s+The process has 0 worker threads", front)
    assert "page 2 of" in visitor.get(re.search(r'rel="next" href="([^"]+)', front)[1])
    found = visitor.get("?q=TOKYO")
    assert "1 city, page 1 of 1" in found
    path = re.search(r'href="/(cities/\d+/)', found)[1]
    city = visitor.get(path)
    # The country, the continent and the neighbours are fetched where they are touched.
    assert re.search(r"Japan</a>, Asia.*Others in Japan.*Yokohama", city, re.DOTALL)
    assert re.search("Asia.*Tokyo", visitor.get("countries/jp/"), re.DOTALL)
    assert "Cities of Japan" in visitor.get("?country=JP")
    assert "server-sent event" in visitor.get("live/")
    assert "--page" in visitor.get("static/atlas/site.css")
    broken = ["?page=0", "?q=%00", "countries/XX/", "cities/1/", "static/none.css", "nowhere/"]
    assert [visitor.status(path) for path in broken] == [400, 400, 404, 404, 404, 404]


def api(visitor):
    assert json.loads(visitor.get("api/cities/?q=tokyo"))["count"] == 1
    assert len(json.loads(visitor.get("api/cities/all/"))) == ROWS


def administration(visitor, password):
    form = visitor.get("admin/login/?next=/admin/atlas/city/")
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', form)[1]
    posted = {"username": "atlas", "password": password, "csrfmiddlewaretoken": token}
    listed = visitor.get("admin/login/?next=/admin/atlas/city/", **posted)
    assert f"{ROWS} cities" in listed
    assert "1 result" in visitor.get("admin/atlas/city/?q=tokyo")
    # The user in the header is one more attribute that is fetched by the template.
    assert ">atlas</a>" in visitor.get("")


def test_an_embedded_server_keeps_its_data():
    code = """
import sys
from pathlib import Path

import psycopg

from atlas.postgres import kept_dsn

with psycopg.connect(kept_dsn(Path(sys.argv[1]))) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
    connection.execute("INSERT INTO kept VALUES (1)")
    print(connection.execute("SELECT count(*) FROM kept").fetchone()[0])
"""
    # Not pytest's, whose parent other users may not enter: root's server is run by one.
    with TemporaryDirectory(prefix="turbo-orm-postgres-") as directory:
        assert [run_python(code, directory).strip() for _ in range(2)] == ["1", "2"]
