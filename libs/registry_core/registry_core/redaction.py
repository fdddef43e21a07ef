"""Secrets taken out of a line that is about to be logged: the last line of defence, behind not logging them."""

import json
import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from registry_core.settings import Settings

SHOWN: Final = "[secret]"
_SHORTEST: Final = 6
"""Characters of a configured secret that is looked for: a shorter one would be found in ordinary words."""
_SHAPES: Final = re.compile(
    r"(?P<token>hm[ks]_[a-z0-9.:-]{1,64}_[0-9a-f]{1,16}_)[0-9a-f]{8,}"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']*:)[^\s/@\"']+(?=@)"
    r"|(?P<jwt>\beyJ)[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*){0,3}"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""Hallmark's tokens and sessions, passwords in addresses, JSON Web Tokens (RFC 7519), private keys (RFC 7468)."""


class Redactor:
    """Takes out what has the shape of a secret, and the secrets of the settings whatever their shape."""

    def __init__(self, known: Iterable[str]) -> None:
        spellings = {spelt for secret in known for spelt in _spellings(secret) if len(spelt) >= _SHORTEST}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @classmethod
    def of(cls, settings: Settings) -> "Redactor":
        values = [getattr(settings, name) for name in type(settings).model_fields]
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return cls([*secrets, *filter(None, map(_password, secrets))])

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        told = self._known.sub(SHOWN, text) if self._known else text
        return _SHAPES.sub(lambda found: f"{found[found.lastgroup or 0]}{SHOWN}", told)


def _spellings(secret: str) -> set[str]:
    """As it is, as an address has it, and as JSON does."""
    return {secret, unquote(secret), json.dumps(secret)[1:-1]}


def _password(dsn: str) -> str | None:
    try:
        return urlsplit(dsn).password
    except ValueError:
        return None


class RedactingFormatter(logging.Formatter):
    """For what libraries log by themselves."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__(logging.BASIC_FORMAT)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))
