"""The Hallmark SDK and command line.

from hallmark import Client

with Client() as hallmark:
    hallmark.register_version("model:credit-risk@1.0.0", files=["model.safetensors"])

`AsyncClient` has the same methods, to be awaited.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hallmark.aio.client import AsyncClient
    from hallmark.aio.session import AsyncRetry
    from hallmark.client import Client
    from hallmark.errors import HallmarkError, UnreachableError
    from hallmark.events import emit_cloudevent
    from hallmark.session import Retry

__all__ = [
    "AsyncClient", "AsyncRetry", "Client", "HallmarkError", "Retry", "UnreachableError", "emit_cloudevent"
]  # fmt: skip

_HOMES = {
    "AsyncClient": "hallmark.aio.client",
    "AsyncRetry": "hallmark.aio.session",
    "Client": "hallmark.client",
    "HallmarkError": "hallmark.errors",
    "Retry": "hallmark.session",
    "UnreachableError": "hallmark.errors",
    "emit_cloudevent": "hallmark.events",
}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562): the command line is a part of this package and must start without httpx."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as the docstring says

    return getattr(import_module(_HOMES[name]), name)
