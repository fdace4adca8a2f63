"""Files behind a URL (``http://``, ``s3://``, ``gs://`` ...), through fsspec.

The credentials are those that Sedna gives its workers: ``S3_ENDPOINT_URL``, ``ACCESS_KEY_ID`` and
``SECRET_ACCESS_KEY``. Whatever goes wrong is said in one sentence that names the URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sedna_tinyms.errors import MissingExtraError, SednaTinyMSError, StorageError

__all__ = ["file_system", "is_remote"]

NEEDED = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
"""What fsspec itself needs for a scheme."""


def is_remote(url: str | os.PathLike[str]) -> bool:
    """Tell whether `url` has a scheme other than ``file``."""
    scheme, separator, _ = os.fspath(url).partition("://")
    return bool(separator) and scheme != "file"


@contextmanager
def file_system(url: str) -> Iterator[tuple[Any, str]]:
    """Yield the fsspec file system that `url` is on, and the path there.

    Raises
    ------
    FileNotFoundError
        If the block looks for a file that is not there.
    StorageError
        If anything else goes wrong in the block, or the place cannot be reached.
    MissingExtraError
        If the scheme needs a package that is not installed.
    """
    from fsspec.core import url_to_fs

    scheme = url.partition("://")[0]
    try:
        files, path = url_to_fs(url, **_storage_options(scheme))
        yield files, path
    except (SednaTinyMSError, FileNotFoundError):
        raise
    except ImportError as error:
        needed = NEEDED.get(scheme) or error.name
        raise MissingExtraError(
            f"{url} cannot be reached without {needed}: pip install 'sedna-tinyms[remote]'",
            code="missing-extra",
            extra="remote",
            url=url,
        ) from error
    except Exception as error:  # Every file system has errors of its own.
        raise StorageError(
            f"cannot transfer {url}: {error or type(error).__name__}", code="unreachable", url=url
        ) from error


def _storage_options(scheme: str) -> dict[str, Any]:
    if scheme != "s3":
        return {}
    env = os.environ
    options: dict[str, Any] = {
        "key": env.get("ACCESS_KEY_ID") or None,
        "secret": env.get("SECRET_ACCESS_KEY") or None,
        "use_listings_cache": False,
    }
    if endpoint := env.get("S3_ENDPOINT_URL"):
        address = endpoint if "://" in endpoint else f"https://{endpoint}"
        options["client_kwargs"] = {"endpoint_url": address}
    return options
