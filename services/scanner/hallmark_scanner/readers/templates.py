"""Jinja templates, which a loader renders: what in one reaches for Python or for other files."""

import re

# `__` names Python internals; `attr` and the escapes spell them without writing them; the rest loads other templates.
_REACH = re.compile(r"__|\|\s*attr\b|\\(?:x|u00)5f|\{%[-+]?\s*(?:import|from|include|extends)\b", re.IGNORECASE)


def reaches_out(template: str) -> bool:
    """Whether a chat template does more than lay out messages."""
    return _REACH.search(template) is not None
