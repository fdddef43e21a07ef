"""What can go wrong with the local stack."""


class LocalStackError(RuntimeError):
    """A local server could not be run; the message tells why and how to mend it."""
