"""Is an SPDX licence expression satisfied by an allow-list? (SPDX 2.3, annex D)"""

from collections.abc import Collection, Iterable

from license_expression import (  # type: ignore[import-untyped]  # has no stubs
    AND,
    OR,
    Licensing,
)

_LICENSING = Licensing()


def licence_allowed(expression: str, allowed: Iterable[str]) -> bool:
    """OR needs one allowed side, AND needs both. Ids compare without case; an unreadable expression is not allowed.

    `X WITH exception` only adds permissions to X, so it is allowed with X, or when listed as a whole.
    """
    try:
        tree = _LICENSING.parse(expression)
    except Exception:  # the parser also lets out IndexError and others, e.g. on "()"
        return False
    return tree is not None and _allowed(tree, {a.lower() for a in allowed})


def _allowed(node: object, allowed: Collection[str]) -> bool:
    if isinstance(node, OR):
        return any(_allowed(arg, allowed) for arg in node.args)
    if isinstance(node, AND):
        return all(_allowed(arg, allowed) for arg in node.args)
    base = getattr(node, "license_symbol", node)
    return str(node).lower() in allowed or str(base).lower() in allowed
