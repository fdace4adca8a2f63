"""Brings a file from the network, whole and checked, or not at all.

Only https is spoken, with certificates verified against this machine's trust store, and plain
http to this machine itself. What has arrived waits in ``<target>.part``: a later call goes on
from there (Range), and the target's name is taken only after the check has passed.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sedna_tinyms.errors import DownloadError, Problems, StorageError

__all__ = ["check_sha256", "fetch"]

Check = Callable[[Path], None]
ShowBytes = Callable[[int, int | None], None]

CHUNK = 1 << 18
CONNECTIONS = 5
"""How often one server may break off, having sent something, before the next one is asked."""
SLOWEST = 1024
"""Bytes a second, averaged over a time-out: below it a server counts as hung."""
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class _BrokenOffError(Exception):
    """The connection ended early; what has arrived is kept."""


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    check: Check,
    most_bytes: int,
    show: ShowBytes | None = None,
    timeout: float = 30.0,
) -> None:
    """Download a file from the first address that gives the right one.

    Parameters
    ----------
    urls : sequence of str
        Where the same file is to be had, in order of preference.
    target : Path
        Where to put it. What is there already stays if it passes the check, and is replaced if
        it does not. The directory is created.
    check : callable
        Takes the path of what arrived, and raises `DownloadError` if it is not the right file:
        such as `check_sha256`. A file that fails is deleted.
    most_bytes : int
        Stop a server that sends more.
    show : callable, optional
        Called with the bytes so far and, if the server says it, the bytes in all.
    timeout : float
        Seconds that a server may take to answer, or to send the next bytes.

    Raises
    ------
    DownloadError
        If no address gave the right file; says for each one why.
    StorageError
        If it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    download = _Download(part, check, most_bytes, show, timeout)
    problems = Problems()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and _passes(check, target):
            return
        for url in urls:
            try:
                download.bring(url)
            except DownloadError as error:
                problems.add(f"{url}: {error}", code=error.code, **{"url": url, **error.fields})
            else:
                part.replace(target)
                return
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error}", code="cannot-write", path=target
        ) from error
    if not urls:
        problems.add("no address is known", code="missing-value")
    raise problems.as_error(DownloadError, f"cannot download {target.name}", path=target)


def check_sha256(content: Path | Iterable[bytes], sha256: str) -> None:
    """Raise `DownloadError` unless a file, or content in chunks, has this SHA-256 (hexadecimal)."""
    digest = hashlib.sha256()
    for chunk in _chunks_of(content) if isinstance(content, Path) else content:
        digest.update(chunk)
    if digest.hexdigest() != sha256.lower():
        raise DownloadError(
            f"this is not the right file, or it was damaged or changed: its SHA-256 is "
            f"{digest.hexdigest()}, and {sha256.lower()} was expected",
            code="wrong-digest",
            value=digest.hexdigest(),
            expected=sha256.lower(),
        )


@dataclass(frozen=True)
class _Download:
    """What `fetch` was asked for, but for the addresses."""

    part: Path
    check: Check
    most_bytes: int
    show: ShowBytes | None
    timeout: float

    def bring(self, url: str) -> None:
        """Make `part` the right file, with what one server has."""
        _refuse_insecure(url)
        resumed = self.part.exists()
        self._receive_all(url)
        try:
            self.check(self.part)
        except DownloadError:
            self.part.unlink(missing_ok=True)
            if not resumed:
                raise
            # What an earlier call left may be of another file: once more, from the first byte.
            self.bring(url)

    def _receive_all(self, url: str) -> None:
        """Connect again for as long as that brings the end nearer."""
        most_so_far = _size(self.part)
        for connection in range(1, CONNECTIONS + 1):
            try:
                self._receive(url)
            except _BrokenOffError as error:
                if _size(self.part) <= most_so_far or connection == CONNECTIONS:
                    raise DownloadError(str(error), code="download-failed", url=url) from error
                most_so_far = _size(self.part)
            else:
                return

    def _receive(self, url: str) -> None:
        """Connect once; append what comes to `part`, or start it anew if the server does."""
        have = _size(self.part)
        response = _connect(url, have, self.timeout)
        if response is None:
            return
        with response:
            if not _continues(response, have):
                have = 0
            length = str(response.headers.get("Content-Length", ""))
            total = have + int(length) if length.isdigit() else None
            if total is not None and total > self.most_bytes:
                raise DownloadError(
                    f"the server would send {total} bytes; at most {self.most_bytes} are taken",
                    code="too-large",
                    value=total,
                    most=self.most_bytes,
                )
            have = self._write(response, have, total)
        if total is not None and have < total:
            raise _BrokenOffError(f"the server promised {total} bytes and sent {have}")

    def _write(self, response: Any, have: int, total: int | None) -> int:
        """Write what comes after the first `have` bytes; return how many there are then."""
        pace = _Pace(self.timeout)
        with self.part.open("ab" if have else "wb") as file:
            while chunk := _next_chunk(response, have):
                have += len(chunk)
                if have > self.most_bytes:
                    self.part.unlink()
                    raise DownloadError(
                        f"the server sends more than {self.most_bytes} bytes",
                        code="too-large",
                        most=self.most_bytes,
                    )
                file.write(chunk)
                pace.note(len(chunk))
                if self.show:
                    self.show(have, total)
        return have


def _passes(check: Check, path: Path) -> bool:
    try:
        check(path)
    except DownloadError:
        return False
    return True


def _connect(url: str, have: int, timeout: float) -> Any:
    """Return the server's answer, or None if it has nothing after the first `have` bytes."""
    headers = {"User-Agent": "sedna-tinyms", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (the scheme was checked)
    try:
        return _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return None  # The check will tell whether what we have is the whole file.
        raise DownloadError(
            f"the server answers {error.code} {error.reason}",
            code="http-status",
            url=url,
            status=error.code,
        ) from None
    except urllib.error.URLError as error:
        raise DownloadError(
            f"no connection: {error.reason}", code="unreachable", url=url
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOffError(f"the server gave no answer: {error!r}") from error


def _continues(response: Any, have: int) -> bool:
    """Tell whether an answer goes on where our part ends."""
    place = str(response.headers.get("Content-Range", ""))
    return bool(response.status == http.HTTPStatus.PARTIAL_CONTENT) and place.startswith(
        f"bytes {have}-"
    )


def _next_chunk(response: Any, have: int) -> bytes:
    try:
        return bytes(response.read1(CHUNK))
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOffError(f"the server broke off after {have} bytes: {error!r}") from error


class _Pace:
    """Notices a server that keeps a connection alive with a trickle of bytes."""

    def __init__(self, window: float) -> None:
        self.window = window
        self.start, self.bytes = time.monotonic(), 0

    def note(self, count: int) -> None:
        self.bytes += count
        passed = time.monotonic() - self.start
        if passed < self.window:
            return
        if self.bytes < SLOWEST * passed:
            raise _BrokenOffError(f"the server sent {self.bytes} bytes in {passed:.0f} s: too slow")
        self.start, self.bytes = time.monotonic(), 0


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where `fetch` would have gone itself, and never out of https.

    A server elsewhere thus cannot have this machine's own services asked either.
    """

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _refuse_insecure(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise DownloadError(
                f"it redirects from https to {newurl}, which is refused",
                code="insecure-url",
                url=newurl,
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # A context of our own: the process's default one stays as the program has set it.
    context = ssl.create_default_context()
    return urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), _SecureRedirects()
    )


def _refuse_insecure(url: str) -> None:
    try:
        address = urlsplit(url)
        host = address.hostname
    except ValueError as error:
        raise DownloadError(
            f"{url!r} is no address: {error}", code="invalid-url", url=url
        ) from error
    if address.scheme == "https" and host:
        return
    if address.scheme == "http" and host in THIS_MACHINE:
        return
    raise DownloadError(
        f"{url} is refused: only https is accepted, or http to this machine itself",
        code="insecure-url",
        url=url,
    )


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
