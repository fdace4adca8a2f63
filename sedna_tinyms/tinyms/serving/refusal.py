"""Why a request is not carried out, in words that may leave the machine."""

from __future__ import annotations

import re

__all__ = ["Refusal", "code_of_status", "without_paths"]

# A path with at least two parts, up to what cannot be part of one in a message.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s'\"/:;,()]+/)+([^\s'\"/:;,()]*)")


class Refusal(Exception):  # noqa: N818 - not every refusal is an error
    """Ends a request with `status` and a reason for the client.

    Parameters
    ----------
    status : int
        The HTTP status.
    reason : str
        What was wrong and what would be right; holds no path of this machine.
    code : str
        What was wrong, for a program: a name that does not change between releases.
    retry_after : int, optional
        Seconds after which the same request may well succeed.
    """

    def __init__(
        self, status: int, reason: str, *, code: str, retry_after: int | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.code = code
        self.retry_after = retry_after


def code_of_status(status: int, name: str) -> str:
    """Return the code of a refusal of which only the HTTP status and its name are known."""
    return {413: "too-large", 500: "internal"}.get(status, name.lower().replace(" ", "-"))


def without_paths(message: object) -> str:
    """Return the text of `message` with each absolute path cut to its last part."""
    return ABSOLUTE_PATH.sub(r"\1", str(message))
