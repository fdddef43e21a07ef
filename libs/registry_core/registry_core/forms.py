"""What a text has to look like, in words: a person is not asked to read a regular expression."""

from typing import Any, Final

from registry_core.identity import GRANTED, ROLE
from registry_core.values import Account, AliasName, Asset, AssetPattern, Digest, Ref, SemVer

_SHOWN: Final = "String should match pattern '"
_UNKNOWN: Final = "Extra inputs are not permitted"


def _pattern(annotated: Any) -> str:
    return str(annotated.__metadata__[0].pattern)


_KINDS: Final = "kind is one of model, adapter, prompt, dataset, code"
_WORDS: Final = {
    _pattern(Ref): f"write kind:name@version, e.g. model:credit-risk@1.2.0; {_KINDS}",
    _pattern(Asset): f"write kind:name, e.g. model:credit-risk; {_KINDS}",
    _pattern(AssetPattern): f"write kind:name or the beginning of names, e.g. model:risk, model:credit-*; {_KINDS}",
    _pattern(Digest): "write sha256: and 64 hexadecimal digits in lower case",
    _pattern(SemVer): "write a semantic version, e.g. 1.2.0",
    _pattern(Account): "write at most 64 of a-z, 0-9, '.', ':' and '-', a letter or digit first",
    _pattern(AliasName): "write at most 32 of a-z, 0-9 and '-', a letter first",
    ROLE: "write viewer, contributor, reviewer:<role>, manager, admin or auditor",
    GRANTED: "write viewer, contributor, reviewer:<role>, manager or auditor",
}


def in_words(message: str) -> str:
    """pydantic's message; where it shows a pattern of ours or speaks of an unknown field, in words for the sender."""
    if message == _UNKNOWN:
        return "there is no such field"
    return _WORDS.get(message.removeprefix(_SHOWN)[:-1], message) if message.startswith(_SHOWN) else message
