"""Values of classes that derive from those that encoders take, and time zones that fail."""

import datetime


class Text(str):
    pass


class NoOffset(datetime.tzinfo):
    def utcoffset(self, moment):
        return None


class Failing(datetime.tzinfo):
    def utcoffset(self, moment):
        raise LookupError("It is nowhere.")


class Interrupting(datetime.tzinfo):
    def utcoffset(self, moment):
        raise KeyboardInterrupt
