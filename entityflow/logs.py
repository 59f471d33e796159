"""Structured logs on stderr: `event key=value`, or one JSON object a line."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure_logs(level: str = "info", form: str = "text", service: str | None = None) -> None:
    """Once a process. A level that does not exist counts as `info`."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(
            key_order=["at", "level", "event"], drop_missing=True, bool_as_flag=False
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # the one of the moment, not of the start
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=sys.stderr, level=max(number, logging.WARNING), format="level=%(levelname)s event=%(message)s"
    )
    if service:
        structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> Any:
    return structlog.get_logger()
