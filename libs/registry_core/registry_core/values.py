"""The vocabulary that events, HTTP and the SDK share."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_NUMBER = r"(0|[1-9][0-9]*)"
SEMVER = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
LONGEST_VERSION = 64
LONGEST_REF = 200
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_ASSET = re.compile(rf"(?P<kind>model|adapter|prompt|dataset|code):(?P<name>{NAME})")
_REF = re.compile(rf"{_ASSET.pattern}@(?P<version>{SEMVER})")
ALIAS = r"[a-z][a-z0-9-]{0,31}"
_ALIASED = re.compile(rf"(?P<asset>{_ASSET.pattern})@(?P<alias>{ALIAS})")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
SemVer = Annotated[str, StringConstraints(pattern=f"^{SEMVER}$", max_length=LONGEST_VERSION)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Account = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:-]{0,63}$")]


def _checked_ref(text: str) -> str:
    parse_ref(text)
    return text


Ref = Annotated[
    str, StringConstraints(pattern=f"^{_REF.pattern}$", max_length=LONGEST_REF), AfterValidator(_checked_ref)
]
"""`kind:name@version`, e.g. `model:credit-risk@1.0.0`; also the id of the version's stream."""
Asset = Annotated[str, StringConstraints(pattern=f"^{_ASSET.pattern}$")]
"""`kind:name`, all versions of it."""
AssetPattern = Annotated[
    str,
    StringConstraints(
        pattern=rf"^(model|adapter|prompt|dataset|code):({NAME}|([A-Za-z0-9][A-Za-z0-9._-]{{0,126}})?\*)$"
    ),
]
"""`kind:name`, or all assets whose name begins so: `model:credit-*`, `prompt:*`."""
AliasName = Annotated[str, StringConstraints(pattern=f"^{ALIAS}$")]
"""Begins with a letter, so that no version number is one."""
LONGEST_REASON = 4000
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
_LONGEST_LINE = 4000


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else text[: _LONGEST_LINE - 6] + " [cut]"


Line = Annotated[str, AfterValidator(_cut)]
"""Free text in facts and decisions: a longer one is cut and says so."""


class Value(BaseModel):
    """A value inside events and requests: frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RefParts(NamedTuple):
    kind: str
    name: str
    version: str


@lru_cache(maxsize=4096)  # every event of a replay names a version, and neighbours name the same
def parse_ref(ref: str) -> RefParts:
    """Split `kind:name@version`. Raises ValueError that shows the form."""
    match = _REF.fullmatch(ref) if len(ref) <= LONGEST_REF else None
    if match is None or len(match["version"]) > LONGEST_VERSION:
        raise ValueError(
            f"{ref[:LONGEST_REF]!r} is not a version reference; write kind:name@semver, e.g. model:credit-risk@1.0.0"
        )
    return RefParts(match["kind"], match["name"], match["version"])


def parse_asset(asset: str) -> tuple[str, str]:
    """Split `kind:name`. Raises ValueError that shows the form."""
    match = _ASSET.fullmatch(asset)
    if match is None:
        raise ValueError(f"{asset[:LONGEST_REF]!r} is not an asset; write kind:name, e.g. model:credit-risk")
    return match["kind"], match["name"]


def parse_alias(text: str) -> tuple[str, str]:
    """Split `kind:name@alias` into asset and alias. Raises ValueError that shows the form."""
    match = _ALIASED.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:LONGEST_REF]!r} is no alias; write kind:name@alias, e.g. model:credit-risk@champion")
    return match["asset"], match["alias"]


def checked_alias(alias: str) -> str:
    """Raises ValueError for what cannot be an alias."""
    if not re.fullmatch(ALIAS, alias):
        raise ValueError(f"{alias[:64]!r} is no alias: a letter, then up to 31 letters, digits and -, all lower case")
    return alias


def asset_stream(ref: str) -> str:
    """The stream of the asset that a version belongs to, e.g. `asset:prompt:support-answer`."""
    kind, name, _ = parse_ref(ref)
    return f"asset:{kind}:{name}"


def promotion_stream(promotion: str) -> str:
    """The stream of a promotion's process."""
    return f"promotion:{promotion}"


def policy_stream(name: str) -> str:
    """The stream of every document that a policy ever was."""
    return f"policy:{name}"


class Kind(StrEnum):
    MODEL = "model"
    ADAPTER = "adapter"
    PROMPT = "prompt"
    DATASET = "dataset"
    CODE = "code"


class RiskTier(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class EvidenceType(StrEnum):
    SBOM = "sbom"
    PROVENANCE = "provenance"
    EVALUATION = "evaluation"
    SCAN_REPORT = "scan_report"
    MODEL_CARD = "model_card"
    RED_TEAM = "red_team"
    REVIEW = "review"


class State(StrEnum):
    DRAFT = "draft"
    CANDIDATE = "candidate"
    APPROVED = "approved"
    DEPRECATED = "deprecated"
    RETIRED = "retired"
    SUSPENDED = "suspended"


class Severity(StrEnum):
    """CVSS v3.1/v4.0 qualitative ratings (FIRST, section 5)."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class File(Value):
    """One file of a version."""

    name: Annotated[str, StringConstraints(pattern=rf"^{_SEGMENT}(/{_SEGMENT})*$", max_length=255)]
    digest: Digest
    size: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class UseContext(Value):
    """Where and for what a version may be used."""

    business_function: Name
    data_class: Name = "internal"
    region: Name = "any"

    def __str__(self) -> str:
        return f"{self.business_function}/{self.data_class}/{self.region}"


class Mitigation(Value):
    risk: Text
    control: Text


class DatasetPurpose(StrEnum):
    TRAINING = "training"
    VALIDATION = "validation"
    EVALUATION = "evaluation"


class DatasetUse(Value):
    """What a dataset's version was used for, and which of its records: those from `since` up to `until`, exclusive."""

    ref: Ref
    purpose: DatasetPurpose
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_of_a_dataset_in_order(self) -> Self:
        if parse_ref(self.ref).kind != Kind.DATASET:
            raise ValueError(f"{self.ref} is no dataset")
        if self.since and self.until and self.since >= self.until:
            raise ValueError("the window ends before it begins: `since` must lie before `until`")
        return self


class Metadata(Value):
    """What promotion demands and a draft may leave out."""

    owner: Account | None = None
    backup_owner: Account | None = None
    escalation: Text | None = None
    purpose: Text | None = None
    allowed_uses: tuple[Text, ...] = ()
    prohibited_uses: tuple[Text, ...] = ()
    licence: Text | None = None
    """SPDX expression."""
    risk_tier: RiskTier | None = None
    mitigations: tuple[Mitigation, ...] = ()
    depends_on: tuple[Ref, ...] = ()
    """Base model, adapter, prompt, datasets and code that this version was made of or runs with."""
    datasets: Annotated[tuple[DatasetUse, ...], Field(max_length=1000)] = ()
    """Datasets with what each was used for; they need no mention in `depends_on`."""
    fine_tune_method: Text | None = None
    """How it was made from its base model, e.g. `lora r=16` or `full`."""
    source_repository: Text | None = None
    source_commit: Text | None = None
    dependency_lock: Digest | None = None
    """SHA-256 of the lock file that pins every package it was built with."""
    deployment_targets: tuple[Name, ...] = ()
    rollback_to: Ref | None = None
    retire_on: datetime | None = None

    @property
    def dependencies(self) -> tuple[Ref, ...]:
        """Everything that it was made of or runs with, each once."""
        if not self.depends_on and not self.datasets:
            return ()
        return tuple(dict.fromkeys((*self.depends_on, *(use.ref for use in self.datasets))))


def content_digest(files: Iterable[File]) -> str:
    """A version's checksum: its only file's digest, or SHA-256 over the raw digests in name order.

    The latter is the root of OpenSSF Model Signing 1.0 (`serialization.method = files`).
    """
    ordered = sorted(files, key=lambda f: f.name)
    if len(ordered) == 1:
        return ordered[0].digest
    raw = b"".join(bytes.fromhex(f.digest.removeprefix("sha256:")) for f in ordered)
    return sha256_digest(raw)


def sha256_digest(data: bytes) -> str:
    """`sha256:<hex>` of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def storable(value: Any) -> bool:
    """Whether every text in decoded JSON can be stored: PostgreSQL takes no NUL, UTF-8 no lone surrogate."""
    rest = [value]
    while rest:
        match rest.pop():
            case str(text):
                if _UNSTORABLE.search(text):
                    return False
            case dict(members):
                rest.extend(members.keys())
                rest.extend(members.values())
            case list(elements):
                rest.extend(elements)
    return True
