"""The way to a real shop as an app of the sandbox: benches and servers put their faults in front of it.

It passes on what it is given, and hides a base path that benches put before everything.
"""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlsplit

from orderflow.sandbox import App, Request, Response

_OWN = frozenset({"host", "connection", "content-length", "transfer-encoding"})


def forwarding(base_url: str) -> App:
    """Everything goes to the shop at `base_url`, each request on a connection of its own."""
    place = urlsplit(base_url)
    assert place.hostname is not None
    hostname, port = place.hostname, place.port

    def handle(request: Request) -> Response:
        connection = http.client.HTTPConnection(hostname, port, timeout=60)
        try:
            query = "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in request.query)
            headers = {name: value for name, value in request.headers.items() if name not in _OWN}
            target = f"{request.path}?{query}" if query else request.path
            connection.request(request.method, target, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            kept = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in _OWN}
            return Response(answer.status, body, kept)
        finally:
            connection.close()

    return handle
