"""Reports from a worker to its LocalController."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.exceptions import InvalidJSONError

from sedna_tinyms.errors import EndpointError
from sedna_tinyms.sedna.common.log import LOGGER

__all__ = ["LCClient", "http_request"]

TIMEOUT_SECONDS = 10.0
"""For one connection, and for each wait for an answer on it."""

PATIENCE_SECONDS = 30.0
"""For the whole report: a controller that restarts is back within that."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
WORTH_RETRYING = frozenset((408, 425, 429))


def http_request(
    url: str,
    method: str | None = None,
    timeout: float | None = None,
    binary: bool = True,
    no_decode: bool = False,
    *,
    patience: float = PATIENCE_SECONDS,
    **kwargs: Any,
) -> Any:
    """Send a request until it is answered with 200.

    Parameters
    ----------
    url, method : str
        Where to, and how; GET by default.
    timeout : float, optional
        Seconds for one attempt's connection, and for each wait for an answer on it.
    binary, no_decode : bool
        Return the parsed JSON by default, the text if not `binary`, or the response itself.
    patience : float
        Seconds after which no further attempt is made. A refusal (a 4xx status) is final at once.
    **kwargs
        For `requests.request`.

    Raises
    ------
    EndpointError
        If there was no good answer; the message names the address.
    """
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE_SECONDS
    while True:
        left = deadline - time.monotonic()
        limit = min(timeout or TIMEOUT_SECONDS, max(left, FIRST_PAUSE_SECONDS))
        try:
            response = _send(method or "GET", url, timeout=limit, **kwargs)
        except TypeError as error:
            raise EndpointError(
                f"what was meant for {url} is no JSON: {error}", code="not-json", url=url
            ) from error
        except requests.RequestException as error:
            # NaN in the body or a broken address: the next attempt would end alike.
            reason, final = str(error), isinstance(error, ValueError | InvalidJSONError)
            code, status = _code(error), None
        else:
            if response.status_code == requests.codes.ok:
                return _decode(response, binary, no_decode)
            reason = f"{response.status_code} {response.reason}: {response.text[:200]}"
            final = response.status_code < 500 and response.status_code not in WORTH_RETRYING
            code, status = "refused", response.status_code
        if final or time.monotonic() + pause > deadline:
            raise EndpointError(
                f"no good answer from {url}: {reason}", code=code, url=url, status=status
            )
        LOGGER.debug("%s: %s; trying again in %.1f s", url, reason, pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


class LCClient:
    """The LocalController's address, as workers see it."""

    @classmethod
    def send(
        cls,
        lc_server: str,
        worker_name: str,
        message: Mapping[str, Any],
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> Any:
        """Post a worker's report, and return the controller's answer.

        Raises
        ------
        EndpointError
            If the report was not taken within `patience` seconds.
        """
        url = f"{lc_server.rstrip('/')}/sedna/workers/{worker_name}/info"
        return http_request(url, "POST", json=message, patience=patience)


def _send(method: str, url: str, **kwargs: Any) -> requests.Response:
    with requests.Session() as session:
        # The controller is on the worker's own node: a proxy from the environment is for others.
        session.trust_env = False
        return session.request(method, url, **kwargs)


def _code(error: requests.RequestException) -> str:
    """Return the code of an EndpointError for a request that got no answer."""
    if isinstance(error, InvalidJSONError):
        return "not-json"
    if isinstance(error, ValueError):
        return "invalid-url"
    return "timeout" if isinstance(error, requests.Timeout) else "unreachable"


def _decode(response: requests.Response, binary: bool, no_decode: bool) -> Any:
    if no_decode:
        return response
    if not binary:
        return response.text
    try:
        return response.json()
    except ValueError as error:
        raise EndpointError(
            f"{response.url} answered with something that is no JSON",
            code="not-json",
            url=response.url,
        ) from error
