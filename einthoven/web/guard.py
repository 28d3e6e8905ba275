"""Who may ask, and how much: checked before anything else, for every request.

The Host of a request has to be one of ours, so that no other site's name can be pointed at this server; its Origin
has to be this page; where a token is asked for it has to be known. Answers forbid scripts and styles that are not files
of ours.
"""

import asyncio
import ipaddress
import logging
import secrets
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
SHORTEST_TOKEN = 16
COOKIE = "einthoven"
LARGEST_REQUEST = 65536
"""Bytes of a request that uploads nothing."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
FAILED = "the server has failed at this; nothing else is lost"
_WRONG_TOKEN_S = 1.0
"""Seconds after which a wrong token is refused."""
_log = logging.getLogger("einthoven.web")


@dataclass(frozen=True)
class Policy:
    """Whom the server answers.

    Attributes:
        hosts: Names by which it may be called; "*": any address in numbers too, for a server of all addresses.
        token: What a visitor has to know; None: nothing.
        max_upload: Most bytes of an upload.
        session: What the cookie of a visitor holds who knew the token.
    """

    hosts: Sequence[str] = LOCAL
    token: str | None = None
    max_upload: int = 200_000_000
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def knows_host(self, host: str) -> bool:
        """Tells whether a request's Host is one of ours."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.hosts or ("*" in self.hosts and _is_address(name))


def is_local(host: str) -> bool:
    """Tells whether a host to listen on is reached from this machine alone."""
    return host in LOCAL or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def check_token(token: str) -> None:
    """Raises ValueError for a token that could be guessed."""
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"token: give at least {SHORTEST_TOKEN} letters and digits that nobody can guess, or leave it out"
        )


class Guard:
    """Lets through, to the application behind it, what a policy allows."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self.app, self.policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or has it answered."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            refused = await self._refusal(scope)
            if refused is not None:
                await refused(scope, receive, guarded_send)
                return
            await self.app(scope, _Counted(receive, self._most(scope)), guarded_send)
        except ClientDisconnect:  # nobody waits for an answer
            return
        except Exception as error:  # its text may hold what stands in a file
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("%s at %s:%s", type(error).__name__, Path(place.filename).name, place.lineno)
            if not started:
                await refusal(500, FAILED)(scope, receive, guarded_send)

    def _most(self, scope: Scope) -> int:
        return self.policy.max_upload if scope["path"] == "/recordings" else LARGEST_REQUEST

    async def _refusal(self, scope: Scope) -> Response | None:
        """Returns the answer to a request that is refused, or sent elsewhere; None where it is allowed."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.policy.knows_host(host):
            return refusal(403, "this name is not one of the server's: call it by the address that it printed")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return refusal(403, "requests from other pages are refused")
        is_visit = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_visit:
            return refusal(403, "requests from other pages are refused")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._most(scope):
            return too_large(self._most(scope))
        return await self._without_token(scope, headers)

    async def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        token = self.policy.token
        if token is None or _same(_cookie(headers), self.policy.session):
            return None
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if given and _same(given, token):
            return None
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and scope["method"] == "GET" and asked and _same(asked[0], token):
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(COOKIE, self.policy.session, httponly=True, samesite="strict", path="/")
            return answer
        if given or asked:
            await asyncio.sleep(_WRONG_TOKEN_S)
        return refusal(401, "open the address with its token, as the server printed it")


class _Counted:
    """A body of which no more than some bytes are taken."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.most, self.size = receive, most, 0

    async def __call__(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            if self.size > self.most:
                raise HTTPException(413, _too_large_text(self.most))
        return message


def refusal(status: int, text: str) -> Response:
    """Returns an answer that says in one line why something is not done."""
    return JSONResponse({"error": text}, status)


def too_large(most: int) -> Response:
    """Returns the answer to a request of too many bytes."""
    return refusal(413, _too_large_text(most))


def _too_large_text(most: int) -> str:
    return (
        f"that is more than the server takes, {most / 1e6:.3g} MB: take a part of it, or start it with max_upload_mb="
    )


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _same(given: str, wanted: str) -> bool:
    """Compares in a time that does not tell how much is right."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8"))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
