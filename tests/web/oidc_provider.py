"""A small real OpenID provider on loopback: discovery, authorization, tokens, keys; it misbehaves on order."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "demur", "a secret of the client"


class Provider:
    """One provider; ``login_as`` is who is logged in there, ``twist`` changes what a token says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.login_as: dict[str, Any] = {"sub": "nobody"}
        self.twist: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.now = time.time
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.rotate()
        self.signer = self.key

    def rotate(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": secrets.token_hex(4), "use": "sig"})
        self.signer = self.key

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/jwks", self._jwks),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _configuration(self, _request: Request) -> Response:
        told = {"issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/jwks"}  # fmt: skip
        return JSONResponse(told | self.metadata)

    async def _jwks(self, _request: Request) -> Response:
        self.asked.append("jwks")
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        told = dict(request.query_params)
        assert told["response_type"] == "code"
        assert told["code_challenge_method"] == "S256"
        assert "openid" in told["scope"]
        code = secrets.token_urlsafe(16)
        self.codes[code] = told
        back = {"code": code, "state": told["state"], "iss": self.url}
        return RedirectResponse(f"{told['redirect_uri']}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        form = dict(await request.form())
        basic = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = self.codes.pop(str(form.get("code")), None)
        verifier = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        sound = (
            request.headers.get("authorization") in {f"Basic {basic}", f"Basic {plain}"}
            and known is not None
            and known["code_challenge"] == challenge
            and known["redirect_uri"] == form.get("redirect_uri")
        )
        if not sound or known is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(self.now())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": known["nonce"],
                  **self.login_as, **self.twist}  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": self.sign(claims)})

    def sign(self, claims: dict[str, Any]) -> str:
        if self.header.get("alg") == "none":
            parts = [_b64({"alg": "none"}), _b64(claims), ""]
            return ".".join(parts)
        if self.header.get("alg") == "HS256":  # the public key as a shared secret
            signed = f"{_b64({'alg': 'HS256', 'kid': self.key.kid})}.{_b64(claims)}"
            mac = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        return jwt.encode({"alg": "RS256", "kid": self.signer.kid, **self.header}, claims, self.signer)


def _b64(value: dict[str, Any]) -> str:
    import orjson

    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()
