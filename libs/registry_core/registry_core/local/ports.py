"""TCP ports on the loopback interface."""

import socket

from registry_core.local.errors import LocalStackError

LOOPBACK = "127.0.0.1"
_NEAR = 20


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now (a port in TIME_WAIT counts as free)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def listen(host: str, preferred: int | None = None) -> socket.socket:
    """A socket that listens on the preferred port, else on the next free one near it, else on any.

    Raises LocalStackError where this machine does not have the address.
    """
    for port in (*_near(preferred), 0):
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            reason = error
    raise LocalStackError(f"HTTP cannot listen on {host}: {reason}; set HALLMARK_HOST to an address of this machine")


def choose(preferred: int | None = None) -> int:
    """The preferred port, else the next free one near it, else any free one.

    Nothing is reserved: another process may take the port before its user does, so callers try again.
    """
    return next((port for port in _near(preferred) if is_free(port)), None) or _any_free()


def _near(preferred: int | None) -> range:
    return range(preferred, min(preferred + _NEAR, 65536)) if preferred else range(0)


def _any_free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
