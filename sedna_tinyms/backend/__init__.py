"""What Sedna calls: an estimator behind `MSBackend` or `TinyMSBackend`."""

from sedna_tinyms.backend.mindspore_backend import MSBackend
from sedna_tinyms.backend.tinyms_backend import TinyMSBackend

__all__ = ["MSBackend", "TinyMSBackend"]
