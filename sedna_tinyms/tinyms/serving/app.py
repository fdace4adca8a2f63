"""The web application: its routes, and how refusals look."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import time
from importlib.resources import files
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from sedna_tinyms.errors import ConfigurationError, DatasetError, SednaTinyMSError
from sedna_tinyms.tinyms.serving.guard import guard
from sedna_tinyms.tinyms.serving.metrics import CONTENT_TYPE, Metrics
from sedna_tinyms.tinyms.serving.predicting import Predictor
from sedna_tinyms.tinyms.serving.refusal import Refusal, code_of_status, without_paths
from sedna_tinyms.tinyms.serving.settings import Settings
from sedna_tinyms.tinyms.serving.tinyms_routes import tinyms_routes
from sedna_tinyms.tinyms.serving.v2_routes import v2_routes

__all__ = ["create_app"]

logger = logging.getLogger(__name__)


def create_app(settings: Settings, predictor: Predictor, metrics: Metrics) -> Flask:
    """Return the application for one server."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit
    app.register_blueprint(tinyms_routes(predictor, settings.pixel_limit))
    app.register_blueprint(v2_routes(predictor))
    page, page_headers = _page()

    @app.get("/", endpoint="page")
    def show_page() -> Response:
        return Response(page, mimetype="text/html", headers=page_headers)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return _health(predictor)

    @app.get("/metrics")
    def prometheus() -> Response:
        return Response(metrics.text(), content_type=CONTENT_TYPE)

    guard(app, settings)
    _refuse_in_json(app)
    _observe(app, metrics)
    return app


def _health(predictor: Predictor) -> dict[str, Any]:
    """Say what is in service, and why something is not."""
    repository = predictor.repository
    servables = {
        name: {
            "ready": state.servable is not None,
            "version": state.servable.version if state.servable else None,
            "loaded_at": state.loaded_at or None,
            "reason": state.reason or None,
            "code": state.code or None,
        }
        for name, state in repository.states.items()
    }
    return {
        "ready": repository.ready,
        "reason": repository.reason or None,
        "code": repository.code or None,
        "servables": servables,
    }


def _page() -> tuple[str, dict[str, str]]:
    """Return the web page, and headers that let it run its own script and nothing else."""
    text = (files(__package__) / "page.html").read_text(encoding="utf-8")

    def digest(tag: str) -> str:
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashed = hashlib.sha256(content[1].encode() if content else b"").digest()
        return f"'sha256-{base64.b64encode(hashed).decode()}'"

    policy = (
        f"default-src 'none'; script-src {digest('script')}; style-src {digest('style')}; "
        "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text, {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}


def _refuse_in_json(app: Flask) -> None:
    """Answer whatever goes wrong with a status, and a reason in the shape of the route."""

    def answer(status: int, reason: str, code: str) -> Response:
        of_v2 = request.path == "/v2" or request.path.startswith("/v2/")
        body = {"error": reason} if of_v2 else {"status": 1, "err_msg": reason}
        return Response(json.dumps(body | {"code": code}), status, mimetype="application/json")

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        response = answer(refusal.status, refusal.reason, refusal.code)
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = str(refusal.retry_after)
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    def refuse_by_flask(error: HTTPException) -> Response:
        status = error.code or 500
        reason = error.description or error.name
        if status == 413:
            limit = app.config["MAX_CONTENT_LENGTH"]
            reason = f"the body is too large; at most {limit} bytes are accepted"
        elif status == 404:
            reason = "there is nothing at this address"
        return answer(status, reason, code_of_status(status, error.name))

    @app.errorhandler(ConfigurationError)
    @app.errorhandler(DatasetError)
    def refuse_value(error: SednaTinyMSError) -> Response:
        return answer(400, without_paths(error), error.code)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        logger.exception("%s %s failed", request.method, request.path, exc_info=error)
        return answer(500, "the server failed on this request; its log says why", "internal")


def _observe(app: Flask, metrics: Metrics) -> None:
    """Count and time every request."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        metrics.observe_request(route, response.status_code, seconds)
        return response
