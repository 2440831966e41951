"""A client that asks an ASGI application, as a server does, in the same process."""

from typing import Any

from asgiref.testing import ApplicationCommunicator


async def answer(application: Any, path: str, cookies: str = "") -> tuple[int, str]:
    """Return status and body of the response for a path, which may have a query string."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"cookie", cookies.encode())],
    }
    client = ApplicationCommunicator(application, scope)
    await client.send_input({"type": "http.request"})
    head, body = await client.receive_output(10), b""
    while (message := await client.receive_output(10)).get("more_body"):
        body += message["body"]
    await client.wait(10)
    return head["status"], (body + message.get("body", b"")).decode()
