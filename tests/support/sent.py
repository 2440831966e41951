"""What a process sends to the server, as the server gets it: by a proxy between the two."""

from __future__ import annotations

from tests.faults.fault import Fault, Toward
from tests.faults.proxy import Proxy

_STATEMENTS = {b"Q": 0, b"P": 1}


class Wire(Proxy):
    """A proxy that keeps the statements, of the simple protocol and of the extended one."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def first(self, toward: Toward, message: bytes) -> tuple[Fault, int] | None:
        if toward is Toward.SERVER and message[:1] in _STATEMENTS:
            # A prepared statement has a name in front.
            self.sent.append(message[5:].split(b"\0")[_STATEMENTS[message[:1]]].decode())
        return super().first(toward, message)
