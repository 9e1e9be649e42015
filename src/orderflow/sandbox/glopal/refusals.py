"""How the fake Glopal says no: STATED is only "400 with a JSON error description", so the body is a switch (12).

A client's decisions must never depend on what stands in here.
"""

from __future__ import annotations

from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.wire import Json, Response, json_response


def refusal(options: GlopalOptions, status: int, code: str, message: str) -> Response:
    """A refusal in the chosen style."""
    match options.error_body:
        case "nested":
            return json_response(status, {"error": {"code": code, "message": message}})
        case "flat":
            return json_response(status, {"status": "error", "message": message})
        case "string":
            return json_response(status, {"error": message})
        case "problem":
            body: Json = {"title": code, "status": status, "detail": message}
            return json_response(status, body, {"content-type": "application/problem+json"})
        case "text":
            return Response(status, message.encode(), {"content-type": "text/plain"})
        case "html":
            return Response(status, f"<html><h1>{status}</h1></html>".encode(), {"content-type": "text/html"})
        case "empty":
            return Response(status, b"", {})
