"""How another package's attribute is replaced, or its signal received, and how that is undone.

A ``Group`` is what is installed and uninstalled as a whole. The neighbours of this module each
define one; ``registry`` installs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_MISSING: Any = object()

type Undo = Callable[[], None]


@dataclass(frozen=True)
class Replacement:
    """An attribute that is replaced: of a module, a class or an instance (its ``__class__``).

    ``owner`` is the module that has it, or ``"module:object"``.
    ``replacement`` is what takes its place, or ``wrap`` returns that for the original. For an
    attribute that is stored on instances (``is_stored``), the class gets a descriptor.
    """

    owner: str
    name: str
    why: str
    replacement: Any = None
    wrap: Callable[[Any], Any] | None = None
    is_stored: bool = False

    @property
    def target(self) -> str:
        """What is changed."""
        return f"{self.owner}.{self.name}".replace(":", ".")

    @property
    def source(self) -> str:
        """Which function, class or object of turbo-orm takes its place, or makes what does."""
        return _path(self.wrap or self.replacement)

    def install(self) -> Undo:
        """Replace the attribute, and return what puts back the very object that was there."""
        try:
            owner = resolve_name(self.owner)
            original = None if self.is_stored else getattr(owner, self.name)
        except (AttributeError, ImportError) as exc:
            raise ImproperlyConfigured(
                f"turbo-orm replaces {self.target} ({self.why}), which cannot be found: {exc}. "
                "Install a version that turbo-orm supports, or a newer turbo-orm."
            ) from exc
        # The descriptor of a method, or nothing, where it is inherited.
        stored = original if self.name == "__class__" else vars(owner).get(self.name, _MISSING)
        if self.wrap is not None:
            replacement = self.wrap(original if stored is _MISSING else stored)
        else:
            replacement = self.replacement
        setattr(owner, self.name, replacement)

        def put_back() -> None:
            if stored is _MISSING:
                delattr(owner, self.name)
            else:
                setattr(owner, self.name, stored)

        return put_back


@dataclass(frozen=True)
class Receiver:
    """A function that receives a signal, which is named as ``"module:signal"``."""

    signal: str
    receiver: Callable[..., Any]
    why: str

    @property
    def target(self) -> str:
        """Which signal is received."""
        return self.signal.replace(":", ".")

    @property
    def source(self) -> str:
        """Which function of turbo-orm receives it."""
        return _path(self.receiver)

    def install(self) -> Undo:
        """Connect the receiver, and return what disconnects it."""
        signal = resolve_name(self.signal)
        signal.connect(self.receiver, weak=False)

        def disconnect() -> None:
            signal.disconnect(self.receiver)

        return disconnect


type Patch = Replacement | Receiver


def _path(thing: Any) -> str:
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', type(thing).__module__)}.{name}"


def _nothing() -> None:
    """Do nothing."""


class Group:
    """Patches that are installed together.

    ``patches`` returns those for the packages and apps that are there. ``on_install`` is called
    when all are installed, each time, and ``on_uninstall`` before the first is uninstalled.
    """

    def __init__(
        self,
        title: str,
        patches: Callable[[], Iterable[Patch]],
        on_install: Callable[[], None] = _nothing,
        on_uninstall: Callable[[], None] = _nothing,
    ) -> None:
        self.title = title
        self.is_installed = False
        self._patches = patches
        self._on_install = on_install
        self._on_uninstall = on_uninstall
        self._undo: list[tuple[Patch, Undo]] = []

    @property
    def installed(self) -> list[Patch]:
        """The patches that are in force, in the order in which they were made."""
        return [patch for patch, _ in self._undo]

    def install(self) -> None:
        """Install the patches that are not installed yet, or none of them if one raises.

        Done again, it installs what apps have come to need since: Django has all of them get ready
        again where a test overrides ``INSTALLED_APPS``.
        """
        self.is_installed = True
        try:
            for patch in self._patches():
                if patch not in self.installed:
                    self._undo.append((patch, patch.install()))
            self._on_install()
        except BaseException:
            self.uninstall()
            raise

    def uninstall(self) -> None:
        """Put back what was there. Do nothing if they are not installed."""
        if not self.is_installed:
            return
        self._on_uninstall()
        while self._undo:
            _, undo = self._undo.pop()
            undo()
        self.is_installed = False
