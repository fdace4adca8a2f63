"""Who may use the server: the token, and which web pages' requests count."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from flask import Flask, Response, request

from sedna_tinyms.tinyms.serving.refusal import Refusal
from sedna_tinyms.tinyms.serving.settings import Settings, is_loopback

__all__ = ["NEEDS_TOKEN", "guard", "has_token"]

NEEDS_TOKEN = "this server needs a token: Authorization: Bearer <token>"  # noqa: S105 - words

OPEN_TO_ALL = ("page", "v2.live", "v2.ready")
"""Endpoints without a token: the page, which holds nothing, and what a cluster's probes ask."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def guard(app: Flask, settings: Settings) -> None:
    """Refuse requests without the token, and those that another server's page sends."""

    @app.before_request
    def check() -> None:
        _require_own_name(settings)
        _require_known_origin(settings)
        if request.method != "OPTIONS" and request.endpoint not in OPEN_TO_ALL:
            _require_token(settings)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.extend(HEADERS)
        origin = request.headers.get("Origin")
        if origin in settings.allowed_origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if settings.allowed_origins:
            response.headers.add("Vary", "Origin")
        return response


def _require_own_name(settings: Settings) -> None:
    """Without a token, a page that rebinds its own name to this address must not get through."""
    if settings.token:
        return
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        raise Refusal(400, "the Host header is no address", code="invalid-host") from None
    if not is_loopback(name) and name != settings.host:
        raise Refusal(
            403,
            f"the Host header names {name!r:.80}, which is not this server",
            code="foreign-host",
        )


def _require_known_origin(settings: Settings) -> None:
    """Keep other servers' pages from having work done, even if they may not see the answer."""
    origin = request.headers.get("Origin")
    if origin is None or origin in settings.allowed_origins:
        return
    if origin.partition("://")[2] != request.host:  # an origin is scheme://host[:port], no more
        raise Refusal(403, "pages of other servers may not use this one", code="foreign-origin")


def _require_token(settings: Settings) -> None:
    if not has_token(request.headers.get("Authorization", ""), settings.token):
        raise Refusal(401, NEEDS_TOKEN, code="unauthorized")


def has_token(authorization: str, token: str | None) -> bool:
    """Tell whether an Authorization header has the token, if one is asked for."""
    if not token:
        return True
    scheme, _, given = authorization.partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else ""
    return hmac.compare_digest(given.encode(), token.encode())
