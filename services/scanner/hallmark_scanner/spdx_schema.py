"""Structural checks for SPDX 2.2 and 2.3 in JSON, as a JSON Schema of our own.

It asks for what SPDX 2.3 calls mandatory of a document, its creation information and its packages (clauses 6 and 7),
and for the fields that are read; files, snippets, annotations and relationships are left unchecked.
"""

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_ID = {"type": "string", "pattern": r"^SPDXRef-[A-Za-z0-9.-]+$"}

_EXTERNAL_REFERENCE: dict[str, Any] = {
    "type": "object",
    "required": ["referenceCategory", "referenceType", "referenceLocator"],
    "properties": {"referenceCategory": _TEXT, "referenceType": _TEXT, "referenceLocator": _TEXT},
}

_PACKAGE: dict[str, Any] = {
    "type": "object",
    "required": ["name", "SPDXID", "downloadLocation"],
    "properties": {
        "name": _TEXT,
        "SPDXID": _ID,
        "downloadLocation": _TEXT,
        "versionInfo": {"type": "string"},
        "primaryPackagePurpose": _TEXT,
        "externalRefs": {"type": "array", "items": _EXTERNAL_REFERENCE},
    },
}

SPDX_2_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages"],
    "properties": {
        "spdxVersion": {"enum": ["SPDX-2.2", "SPDX-2.3"]},
        "dataLicense": {"const": "CC0-1.0"},
        "SPDXID": {"const": "SPDXRef-DOCUMENT"},
        "name": _TEXT,
        "documentNamespace": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*:[^#]+$"},
        "creationInfo": {
            "type": "object",
            "required": ["created", "creators"],
            "properties": {
                "created": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                "creators": {"type": "array", "minItems": 1, "items": _TEXT},
            },
        },
        "packages": {"type": "array", "items": _PACKAGE},
    },
}
