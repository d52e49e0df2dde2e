"""Who may ask: pages of this server alone, under a name that is its own."""

import ipaddress
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests of other sites, and adds what browsers are to obey.

    A site on the internet may let its own name lead to this machine, and may send
    requests here from a visitor's browser. The first has another Host, the second
    another Origin.

    Args:
        app: Answers the others.
        host: The address or name that the server listens on.
    """

    def __init__(self, app: ASGIApp, host: str):
        self._app = app
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        reason = self._refusal(Headers(scope=scope))
        answer = JSONResponse({"error": reason}, 403) if reason else self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers) -> str:
        """Says why a request is refused; "" if it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own(host):
            return (
                "The server does not answer to this name. Use its address, or "
                "localhost; another name is given with --host."
            )
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return "The request came from another site."
        return ""

    def _is_own(self, host: str) -> bool:
        """Tells whether a host is known, or an address, which cannot be redirected."""
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal():
            name = host
        name = name.lower()
        return name in self._names or _is_address(name.strip("[]"))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
