"""Asking a source what is true of an object."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from registry_core.handlers import Effect, Reader

log = structlog.get_logger()


async def observe(payload: Mapping[str, Any], _reader: Reader) -> Sequence[Effect]:
    """The hint is taken note of."""
    log.info("source to be asked", source=payload["source"], object=payload["object"])
    return []
