"""TCP ports on the loopback interface."""

import socket

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


def choose(preferred: int | None = None) -> int:
    """The preferred port, else the next free one near it, else any free one.

    Nothing is reserved: another process may take the port before its user does, so callers try again.
    """
    near = range(preferred, min(preferred + _NEAR, 65536)) if preferred else ()
    return next((port for port in near if is_free(port)), None) or _any_free()


def _any_free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
