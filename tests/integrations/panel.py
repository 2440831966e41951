"""django-debug-toolbar's SQL panel, for the event loop, too.

The toolbar instruments the connections of a thread that it hops to, and the connection of a
view's task is not one of them.
"""

from debug_toolbar.panels import sql


class SQLPanel(sql.SQLPanel):
    async def aenable_instrumentation(self):
        await super().aenable_instrumentation()
        self.enable_instrumentation()
