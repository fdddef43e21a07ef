"""One commit of a Hugging Face repository becomes a draft: every file verified, nothing of it executed."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from registry_core.objects import ObjectStorage
from registry_core.problems import Problem, invalid
from registry_core.values import SEMVER, EvidenceType, File, Metadata

from hallmark_ingestion.external import model_card, model_config
from hallmark_ingestion.external.asking import Asking, SourceRefusalError
from hallmark_ingestion.external.huggingface import HuggingFace
from hallmark_ingestion.external.huggingface_state import Repository, Sibling
from hallmark_ingestion.external.registering import Document, Fetched, check_count, file_named

LEFT_OUT: Final = (".gitattributes", ".gitignore")
"""Files of git's own, which are no part of a model."""
CARD: Final = "README.md"
_TAG: Final = re.compile(f"v?(?P<version>{SEMVER})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be imported, for whom, and as what; as what its name and commit say, if nothing is given."""

    repository: str
    revision: str
    account: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is; `stored` are files that an earlier attempt brought in."""

    stored: Mapping[str, File]
    begin: Callable[[str, int, int], Awaitable[None]]
    """Commit, files, bytes."""
    advance: Callable[[File], Awaitable[None]]


class HuggingFaceImport:
    def __init__(self, asking: Asking, objects: ObjectStorage, limit: int) -> None:
        """`limit`: bytes of one file."""
        self._hub, self._url, self._objects, self._limit = HuggingFace(asking), asking.url, objects, limit

    async def fetch(self, wanted: Wanted, progress: Progress) -> Fetched:
        """Raises Problem for what cannot be taken as it is; SourceAwayError."""
        found = await self._listed(wanted)
        wanted_files = [file for file in found.siblings if file.rfilename not in LEFT_OUT]
        check_count(len(wanted_files))
        for file in wanted_files:
            self._check(file)
        await progress.begin(found.sha, len(wanted_files), sum(map(_size, wanted_files)))
        files = [await self._file(found, file, progress) for file in wanted_files]
        card = await self._beginning(files, CARD, model_card.LARGEST_CARD)
        about = self._about(found, wanted, await self._claims(found, files, card))
        return Fetched(
            wanted.ref or default_ref(found, wanted.revision), files, self._metadata(found, about), wanted.account,
            f"hf://{found.id}@{found.sha}", _documents(about, card), about,
        )  # fmt: skip

    async def _listed(self, wanted: Wanted) -> Repository:
        try:
            found = await self._hub.repository(wanted.repository, wanted.revision)
        except SourceRefusalError as error:
            raise _not_given(wanted, error) from None
        if found.id != wanted.repository:
            raise invalid(
                f"{wanted.repository} was moved to {found.id}", f"if that is meant: hf://{found.id}@{found.sha}"
            )
        return found

    def _check(self, file: Sibling) -> None:
        """Raises Problem 422 before anything is fetched."""
        file_named(file.rfilename, f"sha256:{'0' * 64}")
        if not file.lfs and (file.blobId is None or file.size is None):
            raise invalid(
                f"the endpoint lists {file.rfilename} without size and digest, so that nothing could be verified",
                "use an endpoint that answers `?blobs=true` as the hub does",
            )
        if _size(file) > self._limit:
            raise Problem(
                413, "too-large", f"{file.rfilename} has {_size(file)} bytes; {self._limit} are taken",
                fix="raise HALLMARK_MAX_ARTIFACT_BYTES if this is meant",
            )  # fmt: skip

    async def _file(self, found: Repository, file: Sibling, progress: Progress) -> File:
        known = progress.stored.get(file.rfilename)
        if known and await self._objects.has(known.digest):
            return known
        chunks = self._hub.content(found.id, found.sha, file)
        try:
            digest, size = await self._objects.take(chunks, self._limit)
        except SourceRefusalError as error:
            detail = f"the endpoint lists {file.rfilename} and does not give it: {str(error)[:300]}"
            raise invalid(detail, "accept the repository's conditions, or give a token that may read it") from None
        stored = file_named(file.rfilename, digest, size)
        await progress.advance(stored)
        return stored

    async def _claims(self, found: Repository, files: list[File], card: bytes | None) -> dict[str, Any]:
        """What the card and the configurations say, side by side."""
        said = model_card.read_card(card)
        read = {name: await self._beginning(files, name, model_config.LARGEST) for name in model_config.FILES}
        config = model_config.read_configs({name: text for name, text in read.items() if text is not None}, found.id)
        return {**said, "config": config, "contradictions": model_config.contradictions(said, config)}

    async def _beginning(self, files: list[File], name: str, limit: int) -> bytes | None:
        """A file as far as it is read: a little more than `limit` where it is larger. None: there is none."""
        found = next((file for file in files if file.name == name), None)
        if found is None:
            return None
        content = bytearray()
        async for chunk in self._objects.stream(found.digest):
            content += chunk
            if len(content) > limit:
                break
        return bytes(content)

    def _about(self, found: Repository, wanted: Wanted, card: dict[str, Any]) -> dict[str, Any]:
        left_out = [file.rfilename for file in found.siblings if file.rfilename in LEFT_OUT]
        code = [file.rfilename for file in found.siblings if file.rfilename.endswith(".py")]
        return card | {
            "repository": f"{self._url}/{found.id}", "commit": found.sha, "revision": wanted.revision,
            "gated": found.gated, "private": found.private, "left_out": left_out,
            "code_files": code[:model_config.MOST],
        }  # fmt: skip

    def _metadata(self, found: Repository, about: dict[str, Any]) -> Metadata:
        return Metadata(licence=about["licence"], source_repository=about["repository"], source_commit=found.sha)


def default_ref(found: Repository, revision: str) -> str:
    """`model:<org>.<name>@<version>`: a revision that is a semantic version names it, else its commit does."""
    match = _TAG.fullmatch(revision)
    version = match["version"] if match else f"0.0.0-g{found.sha[:12]}"
    return f"{default_asset(found.id)}@{version}"


def default_asset(repository: str) -> str:
    """What versions of a repository are called that is followed."""
    return f"model:{repository.replace('/', '.')}"


def _size(file: Sibling) -> int:
    return file.lfs.size if file.lfs else file.size or 0


def _documents(about: dict[str, Any], card: bytes | None) -> list[Document]:
    """What was read of the card, then the card itself, where it is one that was read."""
    found = [Document(EvidenceType.MODEL_CARD, model_card.MEDIA_TYPE, model_card.as_json(about))]
    if card and len(card) <= model_card.LARGEST_CARD:
        found.append(Document(EvidenceType.MODEL_CARD, "text/markdown", card))
    return found


def _not_given(wanted: Wanted, error: SourceRefusalError) -> Problem:
    what = f"{wanted.repository}@{wanted.revision}"
    match error.code:
        case "GatedRepo":
            return invalid(f"{what} is gated", "accept its conditions on the hub, and give a token that may read it")
        case "RevisionNotFound":
            return invalid(f"{wanted.repository} has no revision {wanted.revision}", "name a branch, a tag or a commit")
        case _:
            return invalid(
                f"{what} is not given out: {str(error)[:300]}",
                "check the name; a private repository needs HALLMARK_HUGGINGFACE_TOKEN, or its source's token",
            )
