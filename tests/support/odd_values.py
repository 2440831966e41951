"""Values of classes that derive from those that encoders take, and time zones that fail."""

import datetime


class Text(str):
    pass


class Zone(datetime.tzinfo):
    """A time zone that looks the same in every process: it is part of the names of tests."""

    def __repr__(self):
        return f"{type(self).__name__}()"


class NoOffset(Zone):
    def utcoffset(self, moment):
        return None


class Failing(Zone):
    def utcoffset(self, moment):
        raise LookupError("It is nowhere.")


class Interrupting(Zone):
    def utcoffset(self, moment):
        raise KeyboardInterrupt
