"""What goes wrong between a client and the server, and when: told to the proxy."""

import threading
from dataclasses import dataclass, field
from enum import Enum, auto


class Toward(Enum):
    """The direction of what is sent."""

    SERVER = auto()
    CLIENT = auto()


class Action(Enum):
    """What happens to a connection."""

    RESET = auto()
    """Both ends are told that the connection is gone (RST); what is on its way is lost."""
    CLOSE = auto()
    """Both ends are told that it has ended (FIN), after what was sent before."""
    HALF_CLOSE = auto()
    """The receiver is told that the sender has ended; the other direction stays open."""
    PAUSE = auto()
    """Nothing more arrives in this direction until the proxy is told to resume."""
    DELAY = auto()
    """This message and each one after it in this direction arrive late."""


@dataclass
class Fault:
    """Something that happens once, where the traffic in one direction reaches a place.

    The place is the message that holds a pattern, the n-th message (from 1), or what comes after n
    bytes: counted from when the proxy is told of the fault, over all of its connections but those
    that ask the server to cancel. With ``after`` it is the end of the message, not its beginning.
    """

    action: Action
    toward: Toward
    pattern: bytes | None = None
    message: int | None = None
    passed: int | None = None
    after: bool = False
    seconds: float = 0
    struck: threading.Event = field(default_factory=threading.Event)
    _messages: int = 0
    _bytes: int = 0

    def place(self, message: bytes) -> int | None:
        """Return where in a message it happens, if it does."""
        self._messages += 1
        self._bytes += len(message)
        if self.passed is not None:
            missing = self.passed - (self._bytes - len(message))
            return missing if missing <= len(message) else None
        if self.pattern is not None and self.pattern not in message:
            return None
        if self.message is not None and self._messages != self.message:
            return None
        return len(message) if self.after else 0
