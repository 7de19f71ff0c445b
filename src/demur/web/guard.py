"""What stands before every page: headers, the right host, the client's address, limits by prefix, sizes, own origin.

Knows no page: paths matter only by their first segments. Buckets live in this process; several processes allow that
many times as much. Does *not* know who is logged in; it only refuses what another site made a browser send.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demur.flows.feed import may_feed
from demur.flows.service import Service
from demur.notice.inapp import is_app
from demur.store import KeyRing
from demur.store.links import LinkPurpose, Links
from demur.terms.site import Site
from demur.web.frame import page, service_of

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
    "x-robots-tag": "noindex, nofollow",
}
"""Of every answer (SEC-06). Under ``no-referrer`` browsers would send ``Origin: null`` with our own forms (Fetch)."""
POLICIES = {"/console": f"{_POLICY}; script-src 'self'; connect-src 'self'"}
"""First segment → its content security policy: HTMX runs in the console only."""
HSTS = "max-age=31536000"
"""RFC 6797; not for subdomains, which are not ours."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}
BODY_BYTES = 64 * 1024
ROOMY: tuple[tuple[str, int], ...] = (
    ("/api/", 8 * 2**20),
    ("/request", 24 * 2**20),
    ("/console/", 24 * 2**20),
)
"""Paths where more is sent than a form: lists, pictures."""
LINKS = {
    "o": LinkPurpose.OBJECT, "p": LinkPurpose.PAGE, "u": LinkPurpose.UNDO, "export": LinkPurpose.EXPORT,
    "export-status": LinkPurpose.EXPORT_STATUS,
}  # fmt: skip
"""First segment → purpose of the link that the second one may be."""
COOKIE = "demur"
"""Part of the name of every cookie of ours."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: so many at once, so many a second afterwards."""

    burst: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one network may ask of one process. Generous: behind one address may be a whole town (CGNAT, RFC 6598)."""

    read: Limit = Limit(400, 20)
    write: Limit = Limit(60, 1)
    login: Limit = Limit(30, 0.5)
    link: Limit = Limit(40, 1)
    """Of one genuine link, wherever it is opened; it does not count against the network (never in the way of a no)."""
    buckets: int = 65_536
    """Kept at most; the longest unused are forgotten."""


LOGIN = ("/login", "/console/login", "/link")
"""Paths that try a secret or send a mail."""


def guards(service: Service, limits: Limits) -> list[Middleware]:
    """Return what stands before every page, outermost first."""
    return [
        Middleware(SecurityHeaders, origin=service.site.origin),
        Middleware(Failures),
        Middleware(RightHost, site=service.site),
        Middleware(ClientAddress, trusted=service.site.trusted_proxies),
        Middleware(Throttle, limits=limits, links=service.links, keys=service.parts.keys),
        Middleware(OwnOrigin, origin=service.site.origin),
        Middleware(BodySize),
    ]


class SecurityHeaders:
    """Adds HEADERS to every answer that does not say otherwise."""

    def __init__(self, app: ASGIApp, origin: str = "http://") -> None:
        self._app = app
        more = {"strict-transport-security": HSTS} if origin.startswith("https://") else {}
        self._headers = {**HEADERS, **more}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        first = "/" + scope["path"].lstrip("/").partition("/")[0]
        policy = POLICIES.get(first, _POLICY)
        kept = "public, max-age=3600" if first == "/static" else "no-store"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", policy)
                headers.setdefault("cache-control", kept)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class Failures:
    """Answers what nobody foresaw with a page that says so, headers and all; the server logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if scope["type"] == "http" and not begun:
                title, text = "common.error_title", "common.error_text"
                failed = page(Request(scope, receive), "message.html", status=500, title=title, text=text)
                await failed(scope, receive, send)
            raise


class RightHost:
    """Refuses requests for another host (RFC 9110 §15.5.20) and methods that nothing here knows.

    An origin on loopback admits every loopback name and port: a machine that somebody tries demur on.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._host = urlsplit(site.origin).netloc.lower()
        self._loopback = _is_loopback(self._host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1 or not self._ours(hosts[0].lower()):
                text = "This server answers for its own address only (origin in site.toml).\n"
                return await Response(text, HTTPStatus.MISDIRECTED_REQUEST)(scope, receive, send)
            if scope["method"] not in METHODS:
                return await Response(status_code=HTTPStatus.NOT_IMPLEMENTED)(scope, receive, send)
        await self._app(scope, receive, send)
        return None

    def _ours(self, host: str) -> bool:
        return host == self._host or (self._loopback and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


# Addresses ---------------------------------------------------------------------------------------------------------


class ClientAddress:
    """Puts the client's true address into the scope: ``X-Forwarded-For`` is believed from trusted proxies only.

    Read from the right: each proxy appends whom it got the request from, so the first one that is not a proxy of ours
    is the client; whatever stands left of it the client may have made up.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str] = ()) -> None:
        self._app = app
        self._trusted = tuple(ipaddress.ip_network(one, strict=False) for one in trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and self._trusted:
            told = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
            address = self._client(scope["client"][0] if scope["client"] else None, told)
            if address is not None:
                scope = {**scope, "client": (address, 0)}
        await self._app(scope, receive, send)

    def _client(self, peer: str | None, told: str) -> str | None:
        """Return the client's address; a peer without one is a proxy on this machine (a Unix socket)."""
        found = peer
        if peer is not None and not self._is_proxy(peer):
            return peer
        for hop in reversed([one.strip() for one in told.split(",") if one.strip()]):
            address = _address(hop)
            if address is None:
                return found
            found = address
            if not self._is_proxy(address):
                return found
        return found

    def _is_proxy(self, address: str) -> bool:
        try:
            read = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(read, "ipv4_mapped", None) or read
        return any(mapped in network for network in self._trusted)


def _address(hop: str) -> str | None:
    """Return the address in one entry of ``X-Forwarded-For``: with or without a port, or ``None``."""
    host = hop
    if hop.startswith("["):
        host = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        host = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def prefix_of(address: str) -> str:
    """Return the network that shares a limit: /24 of IPv4, /56 of IPv6 (what one customer is given, RFC 6177).

    >>> prefix_of("192.0.2.77"), prefix_of("2001:db8:1:2ff::9"), prefix_of("::ffff:192.0.2.77")
    ('192.0.2.0/24', '2001:db8:1:200::/56', '192.0.2.0/24')
    """
    try:
        read = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(read, "ipv4_mapped", None) or read
    return str(ipaddress.ip_network((mapped, 24 if mapped.version == 4 else 56), strict=False))


def address_of(request: Request) -> str:
    """Return the client's address as ``ClientAddress`` found it; empty when there is none."""
    return request.client.host if request.client else ""


# Limits ------------------------------------------------------------------------------------------------------------


class Buckets:
    """Token buckets by key, the longest unused forgotten.

    Args:
        most: how many are kept.
        seconds: a clock that never goes back.
    """

    def __init__(self, most: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, kind: str, key: str, limit: Limit) -> float:
        """Take one token; return 0, or the seconds until there is one again."""
        now = self._seconds()
        left, since = self._kept.pop((kind, key), (limit.burst, now))
        left = min(limit.burst, left + (now - since) * limit.per_second)
        taken = left >= 1
        self._kept[kind, key] = (left - 1 if taken else left, now)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return 0.0 if taken else (1 - left) / limit.per_second


class Throttle:
    """Limits what one network asks. A genuine link has a bucket of its own: no crowd and no attacker can empty it.

    The platform's own servers speak for all its members from a few addresses, and are known by their key: no limit.
    """

    def __init__(self, app: ASGIApp, limits: Limits, links: Links, keys: KeyRing) -> None:
        self._app = app
        self._limits = limits
        self._links = links
        self._keys = keys
        self._buckets = Buckets(limits.buckets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or ask for a moment's patience."""
        if scope["type"] == "http" and not scope["path"].startswith("/static/") and not self._platform(scope):
            wait = self._buckets.take(*self._bucket(scope))
            if wait > 0:
                return await _too_many(Request(scope, receive), int(wait) + 1)(scope, receive, send)
        await self._app(scope, receive, send)
        return None

    def _platform(self, scope: Scope) -> bool:
        told = Headers(scope=scope).get("authorization") if scope["path"].startswith("/api/") else None
        if not told:
            return False
        fed = scope["path"].removeprefix("/api/feed/") if scope["path"].startswith("/api/feed/") else None
        return is_app(self._keys, told) if fed is None else may_feed(self._keys, fed, told)

    def _bucket(self, scope: Scope) -> tuple[str, str, Limit]:
        path, safe = scope["path"], scope["method"] in SAFE
        first, _, rest = path.lstrip("/").partition("/")
        purpose, token = LINKS.get(first), rest.partition("/")[0]
        number = self._links.read(purpose, token) if purpose and token else None
        if number is not None:
            return f"link {purpose}", str(number), self._limits.link
        network = prefix_of(scope["client"][0]) if scope["client"] else ""
        if not safe and path.startswith(LOGIN):
            return "login", network, self._limits.login
        return ("read", network, self._limits.read) if safe else ("write", network, self._limits.write)


def _too_many(request: Request, seconds: int) -> Response:
    headers = {"retry-after": str(seconds)}
    if request.url.path.startswith("/api/"):
        told = {"error": "too_many_requests", "message": f"Wait {seconds} seconds and send it again."}
        return JSONResponse(told, HTTPStatus.TOO_MANY_REQUESTS, headers)
    title, text = "common.too_many_title", "common.too_many_text"
    return page(request, "message.html", status=429, headers=headers, title=title, text=text)


# What is sent ------------------------------------------------------------------------------------------------------


class BodySize:
    """Refuses bodies that are larger than a form, before and while they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; more bytes than its path may have are an error 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = next((size for start, size in ROOMY if scope["path"].startswith(start)), BODY_BYTES)
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdigit() or int(told) > most:
            await _refusal(Request(scope, receive), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)(scope, receive, send)
            return
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self._app(scope, counted, send)


class OwnOrigin:
    """Refuses what another site made a browser send with our cookies (CSRF): the form token is checked by the page.

    ``Sec-Fetch-Site`` where there is one, else ``Origin``; a browser that sends neither with a form is older than both.
    Without a cookie of ours there is nothing to abuse: links, one-click and the API work from anywhere.
    """

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._origin = origin.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in SAFE and self._foreign(Headers(scope=scope)):
            return await _refusal(Request(scope, receive), HTTPStatus.FORBIDDEN)(scope, receive, send)
        await self._app(scope, receive, send)
        return None

    def _foreign(self, headers: Mapping[str, str]) -> bool:
        if COOKIE not in headers.get("cookie", ""):
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in {"same-origin", "none"}
        origin = headers.get("origin")
        return origin is not None and origin != self._origin


def _refusal(request: Request, status: HTTPStatus) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": status.name.lower()}, status)
    return page(request, "message.html", status=status, title="common.refused_title", text=None)


# Links and cookies -------------------------------------------------------------------------------------------------


def link_number(request: Request, purpose: LinkPurpose) -> int | None:
    """Return the number in the path's token, or ``None``; the same work whether it is forged, cut or another's."""
    return service_of(request).links.read(purpose, request.path_params["token"])


def no_such_link(request: Request) -> Response:
    """Answer a link that is forged, cut, over, or of another purpose: always the same (SEC-02)."""
    title, text = "common.not_found_title", "common.not_found_text"
    return page(request, "message.html", status=HTTPStatus.FORBIDDEN, title=title, text=text)


def cookie_name(site: Site, name: str) -> str:
    """Return a cookie's name: over TLS bound to this very host by its prefix (RFC 6265bis §4.1.3.2)."""
    return f"__Host-{COOKIE}-{name}" if site.origin.startswith("https://") else f"{COOKIE}-{name}"


def set_cookie(response: Response, site: Site, name: str, value: str, *, seconds: int) -> None:
    """Set a cookie that no script reads and no other site's form sends."""
    secure = site.origin.startswith("https://")
    response.set_cookie(
        cookie_name(site, name), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax"
    )


def drop_cookie(response: Response, site: Site, name: str) -> None:
    """Take a cookie back."""
    secure = site.origin.startswith("https://")
    response.delete_cookie(cookie_name(site, name), path="/", secure=secure, httponly=True, samesite="lax")


def cookie_of(request: Request, name: str) -> str | None:
    """Return a cookie's value."""
    return request.cookies.get(cookie_name(service_of(request).site, name))
