"""Login of members and staff through OpenID Connect: authorization code with PKCE, state and nonce.

The provider says who somebody is, never what they may do. A login in progress is a signed cookie of the browser that
began it: who did not begin one cannot finish one (login CSRF), and each is finished once. Members and staff come back
to different addresses, and the answer must name the provider that was asked (mix-up). Nothing of a token is kept.
Sources: OpenID Connect Core 1.0 §3.1; RFC 7636 (PKCE); RFC 9207 (iss); RFC 9700 §2.1, §4.4.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections import OrderedDict
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from demur.errors import OutsideError, RefusedError
from demur.store import KeyRing
from demur.terms.site import OidcProvider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures with a public key; never ``none``, never a shared secret (RFC 8725 §3.1)."""
LASTS = timedelta(minutes=10)
"""How long a login may take."""
_FRESH = timedelta(hours=1)
_LEEWAY_SECONDS = 60
_SECONDS = 6.0
_USED = 10_000


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that a browser began."""

    issuer: str
    state: str
    nonce: str
    verifier: str
    then: str
    """Path to go to afterwards."""
    until: str


class Login:
    """Logins with one provider.

    Args:
        provider: whom to ask.
        redirect_uri: where the provider sends the browser back to; registered there.
        keys: the key ring; purpose ``login``.
    """

    def __init__(self, provider: OidcProvider, redirect_uri: str, keys: KeyRing) -> None:
        self._provider = provider
        self._redirect_uri = redirect_uri
        self._keys = keys
        self._metadata: tuple[datetime, dict[str, Any]] | None = None
        self._key_set: KeySet | None = None
        self._used: OrderedDict[str, None] = OrderedDict()

    def begin(self, then: str, at: datetime) -> tuple[str, str]:
        """Return the provider's address to send the browser to, and the value of the cookie that finishes the login.

        Raises:
            OutsideError: the provider does not answer as one.
        """
        begun = Begun(
            self._provider.issuer, secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48),
            then, (at + LASTS).isoformat(),
        )  # fmt: skip
        endpoint = self._told(at)["authorization_endpoint"]
        with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoint, state=begun.state, code_verifier=begun.verifier, nonce=begun.nonce
            )
        return url, self._seal(begun)

    def finish(self, cookie: str | None, answer: dict[str, str], at: datetime) -> tuple[dict[str, Any], str]:
        """Return the claims of a finished login, checked, and the path to go to.

        Args:
            cookie: of the browser that comes back.
            answer: what the provider put into the address.
            at: now.

        Raises:
            RefusedError: anything is not as it must be.
            OutsideError: the provider does not answer as one.
        """
        begun = self._open(cookie, at)
        if not hmac.compare_digest(begun.state.encode(), answer.get("state", "").encode()):
            raise _refused("state")
        if begun.state in self._used:
            raise _refused("used")
        self._used[begun.state] = None
        if len(self._used) > _USED:
            self._used.popitem(last=False)
        if answer.get("iss", self._provider.issuer) != self._provider.issuer:
            raise _refused("iss")
        if not answer.get("code"):
            raise _refused("code")
        return self._claims(self._id_token(answer["code"], begun, at), begun, at), begun.then

    # The provider --------------------------------------------------------------------------------------------------

    def _client(self) -> Any:
        given = self._provider
        return OAuth2Client(
            client_id=given.client_id, client_secret=given.client_secret, scope="openid email",
            redirect_uri=self._redirect_uri, code_challenge_method="S256", timeout=_SECONDS, follow_redirects=False,
        )  # fmt: skip

    def _told(self, at: datetime) -> dict[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery 1.0 §4), kept for an hour."""
        if self._metadata is not None and at - self._metadata[0] < _FRESH:
            return self._metadata[1]
        issuer = self._provider.issuer
        told = self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if told.get("issuer") != issuer:
            raise OutsideError(
                "expected the identity provider to name the issuer in site.toml, found another; correct it"
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _safe(told.get(name))
        self._metadata, self._key_set = (at, told), None
        return told

    def _fetch(self, url: str) -> dict[str, Any]:
        _safe(url)
        try:
            answer = httpx.get(url, timeout=_SECONDS, follow_redirects=False)
            answer.raise_for_status()
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _away(error) from error
        if not isinstance(told, dict):
            raise _away(ValueError())
        return told

    def _id_token(self, code: str, begun: Begun, at: datetime) -> dict[str, Any]:
        endpoint = self._told(at)["token_endpoint"]
        try:
            with self._client() as client:
                token = client.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=begun.verifier
                )
        except OAuthError as error:
            raise _refused("code") from error
        except Exception as error:  # of whichever HTTP library Authlib finds installed
            raise _away(error) from error
        return dict(token)

    def _claims(self, token: dict[str, Any], begun: Begun, at: datetime) -> dict[str, Any]:
        """Verify the id token: signature, issuer, audience, times, nonce (OpenID Connect Core 1.0 §3.1.3.7)."""
        raw = token.get("id_token")
        if not isinstance(raw, str):
            raise _refused("id_token")
        options = {
            "iss": {"essential": True, "value": begun.issuer},
            "aud": {"essential": True, "value": self._provider.client_id},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "nonce": {"essential": True, "value": begun.nonce},
        }
        bound = {"nonce": begun.nonce, "client_id": self._provider.client_id, "access_token": token.get("access_token")}
        try:
            found = self._verified(raw, at)
            claims = CodeIDToken(found.claims, found.header, options, bound)
            claims.validate(now=int(at.timestamp()), leeway=_LEEWAY_SECONDS)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _refused("id_token") from error
        return dict(claims)

    def _verified(self, raw: str, at: datetime) -> Any:
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            return jwt.decode(raw, self._keys_of_provider(at, again=False), registry=registry)
        except InvalidKeyIdError:  # the provider has rotated its keys
            return jwt.decode(raw, self._keys_of_provider(at, again=True), registry=registry)

    def _keys_of_provider(self, at: datetime, *, again: bool) -> KeySet:
        if self._key_set is None or again:
            self._key_set = KeySet.import_key_set(self._fetch(self._told(at)["jwks_uri"]))  # type: ignore[arg-type]
        return self._key_set

    # The cookie ----------------------------------------------------------------------------------------------------

    def _seal(self, begun: Begun) -> str:
        body = base64.urlsafe_b64encode(orjson.dumps(asdict(begun)))
        return f"{body.decode()}.{self._mac(body)}"

    def _open(self, cookie: str | None, at: datetime) -> Begun:
        body, _, mac = (cookie or "").partition(".")
        if not hmac.compare_digest(self._mac(body.encode()).encode(), mac.encode()):
            raise _refused("cookie")
        begun = Begun(**orjson.loads(base64.urlsafe_b64decode(body)))
        if begun.issuer != self._provider.issuer:
            raise _refused("iss")
        if at >= datetime.fromisoformat(begun.until):
            raise _refused("late")
        return begun

    def _mac(self, body: bytes) -> str:
        return hmac.digest(self._keys.secret("login"), self._redirect_uri.encode() + b"\0" + body, "sha256").hex()


def _safe(url: Any) -> None:
    """Accept TLS, and loopback for trying things out (OpenID Connect Core 1.0 §3.1.2.1)."""
    read = urlsplit(str(url or ""))
    if read.scheme != "https" and read.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise OutsideError("expected https addresses from the identity provider, found another; correct site.toml")


def _refused(what: str) -> RefusedError:
    return RefusedError(f"this login cannot be finished ({what}); begin again")


def _away(error: Exception) -> OutsideError:
    return OutsideError(f"the identity provider does not answer ({type(error).__name__}); try again in a minute")
