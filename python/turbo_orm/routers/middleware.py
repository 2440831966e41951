"""Middleware by which a client reads what it has written: in the request, and in its next ones."""

from __future__ import annotations

from asyncio import iscoroutinefunction
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.db import DEFAULT_DB_ALIAS, Error, connections, router
from django.utils.cache import patch_vary_headers

from turbo_orm import bridge
from turbo_orm.backend import writes
from turbo_orm.backend.writes import Session
from turbo_orm.routers.positions import number

# What is signed where the position of a write is not known.
_UNKNOWN = "unknown"


class ReadYourWritesMiddleware:
    """Makes each request a session, which continues the client's previous ones.

    If a request has written something, its response has a cookie and a header with the position in
    the primary's log, signed. If a client sends either of them back, it reads from a replica that
    has replayed the log up to this position, or from the primary. Put it first in ``MIDDLEWARE``.
    """

    sync_capable = True
    async_capable = True

    #: The alias of the primary.
    primary = DEFAULT_DB_ALIAS
    #: The cookie's name, and for how many seconds it is sent back and valid.
    cookie_name = "turbo_orm_position"
    max_age = 3600
    #: The header's name, in responses and in requests, for clients without cookies.
    header_name = "Turbo-ORM-Position"

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self.signer = TimestampSigner(salt="turbo_orm.routers")
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return self._acall(request)
        session = self._begin(request)
        response = self.get_response(request)
        if self._has_written(session):
            self._end(response, self._position(session))
        return response

    async def _acall(self, request: Any) -> Any:
        session = self._begin(request)
        response = await self.get_response(request)
        if self._has_written(session):
            self._end(response, await bridge.run(self._position, session))
        return response

    def _begin(self, request: Any) -> Session:
        """Begin a session that waits for what the client has written.

        It lasts for as long as the request's task, or until the thread's next request: what a
        response streams is read in it, too.
        """
        session = Session()
        writes.session.set(session)
        if self.primary not in writes.watched:
            # The routers are made when they are asked for the first time.
            _ = router.routers
        token = request.headers.get(self.header_name) or request.COOKIES.get(self.cookie_name)
        if token:
            with suppress(BadSignature):
                position = self.signer.unsign(token, max_age=self.max_age)
                written = session.written(self.primary)
                written.lsn = None if position == _UNKNOWN else number(position)
        return session

    def _has_written(self, session: Session) -> bool:
        written = session.written(self.primary)
        return written.has_open() or written.ended_at > 0

    def _position(self, session: Session) -> str:
        """Ask the primary for the end of its log, after all that the request has written."""
        if session.written(self.primary).has_open():
            return _UNKNOWN
        try:
            with connections[self.primary].cursor() as cursor:
                cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
                (position,) = cursor.fetchone()
        except Error:
            return _UNKNOWN
        return str(position)

    def _end(self, response: Any, position: str) -> None:
        token = self.signer.sign(position)
        response.headers[self.header_name] = token
        patch_vary_headers(response, ["Cookie"])
        response.set_cookie(
            self.cookie_name,
            token,
            max_age=self.max_age,
            path=settings.SESSION_COOKIE_PATH,
            domain=settings.SESSION_COOKIE_DOMAIN,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite=settings.SESSION_COOKIE_SAMESITE,
        )
