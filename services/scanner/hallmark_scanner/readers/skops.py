"""The schema of a skops file: a tree of nodes, each naming the type that `skops.io.load` would make."""

import json
from collections.abc import Iterator
from typing import Any

from hallmark_scanner.readers.globals import standing
from hallmark_scanner.readers.scan import Scan
from hallmark_scanner.readers.sources import Source

_PROTOCOL = 4
"""skops looks names up as they are, like pickle protocol 4."""
# Nodes that only hold values or make the named type; others call functions, methods or partials of their choosing.
_VALUE_LOADERS = {
    "BytearrayNode",
    "BytesNode",
    "CachedNode",
    "ConstructorFromReduceNode",
    "DTypeNode",
    "DefaultDictNode",
    "DictNode",
    "FunctionNode",
    "JsonNode",
    "ListNode",
    "LossNode",
    "MaskedArrayNode",
    "NdArrayNode",
    "ObjectNode",
    "RandomGeneratorNode",
    "RandomStateNode",
    "SetNode",
    "SliceNode",
    "SparseMatrixNode",
    "TreeNode",
    "TupleNode",
    "TypeNode",
    "_DictWithDeprecatedKeysNode",
}
_RAW_LOADERS = ("BytesNode", "BytearrayNode")


def scan_schema(source: Source, scan: Scan) -> frozenset[str]:
    """Judge every named type; the names of the entries that are raw bytes by the schema."""
    try:
        schema = json.loads(source.open().read(scan.limits.text_bytes + 1))
        nodes = list(_nodes(schema))
    except (ValueError, RecursionError) as error:
        scan.note("skops-malformed", source.name, f"schema.json is not readable: {error}")
        return frozenset()
    if not nodes:
        scan.note("skops-malformed", source.name, "schema.json names no type")
    for node in nodes:
        _judge(node, source.name, scan)
    return frozenset(str(node.get("file")) for node in nodes if node.get("__loader__") in _RAW_LOADERS)


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
            if value.keys() & {"__class__", "__module__", "__loader__"}:
                yield value
        elif isinstance(value, list):
            waiting.extend(value)


def _judge(node: dict[str, Any], where: str, scan: Scan) -> None:
    module, name, loader = (node.get(key) for key in ("__module__", "__class__", "__loader__"))
    if not (isinstance(module, str) and isinstance(name, str)):
        scan.note("skops-malformed", where, f"a {loader} node names no type")
        return
    verdict = standing(module, name, _PROTOCOL)
    if verdict == "dangerous":
        scan.note("skops-dangerous-type", where, f"names {module}.{name}, which can run code or reach the system")
    elif verdict == "unknown" or loader not in _VALUE_LOADERS:
        scan.note("skops-unknown-type", where, f"names {module}.{name} by {loader}, which is not on the list")
