"""Stylesheets and scripts, the admin's too, read at the start: no request waits for a disk.

A web server in front sends them in production.
"""

from collections.abc import Iterator
from mimetypes import guess_type

from django.contrib.staticfiles.finders import get_finders
from django.http import Http404, HttpRequest, HttpResponse


def _read() -> Iterator[tuple[str, bytes]]:
    for finder in get_finders():
        for path, storage in finder.list([]):
            with storage.open(path) as file:
                yield path, file.read()


_FILES = dict(_read())


async def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """Send a file to be kept for an hour."""
    if path not in _FILES:
        raise Http404
    content_type, _ = guess_type(path)
    cached = {"Cache-Control": "max-age=3600"}
    return HttpResponse(_FILES[path], content_type=content_type, headers=cached)
