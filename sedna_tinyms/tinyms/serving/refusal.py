"""Why a request is not carried out, in words that may leave the machine."""

from __future__ import annotations

import re

__all__ = ["Refusal", "without_paths"]

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
    retry_after : int, optional
        Seconds after which the same request may well succeed.
    """

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


def without_paths(message: object) -> str:
    """Return the text of `message` with each absolute path cut to its last part."""
    return ABSOLUTE_PATH.sub(r"\1", str(message))
