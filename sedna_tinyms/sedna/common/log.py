"""The worker's log: to stderr, named after the job, at the level that ``LOG_LEVEL`` names."""

import logging
import os

__all__ = ["LOGGER"]


def _build_logger() -> logging.Logger:
    logger = logging.getLogger(os.environ.get("JOB_NAME") or "sedna")
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(
            logging.Formatter("[%(asctime)s] %(module)s:%(lineno)d [%(levelname)s] %(message)s")
        )
        logger.addHandler(handler)
    wanted = (os.environ.get("LOG_LEVEL") or "INFO").strip().upper()
    level = logging.getLevelName(wanted)
    logger.setLevel(level if isinstance(level, int) else logging.INFO)
    if not isinstance(level, int):
        logger.warning("LOG_LEVEL is %r, which is no level; INFO is used", wanted)
    return logger


LOGGER = _build_logger()
