# Made from aio/api/versions.py by `make sdk`: change it there.
"""Versions: registering, uploading, evidence."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from registry_core.values import File

from hallmark import files as local
from hallmark.errors import HallmarkError
from hallmark.meter import Progress
from hallmark.outgoing import Outgoing
from hallmark.session import Session
from hallmark.wire import Document, present, read, rest_of, segment, upload, version_path, write

OCTETS = "application/octet-stream"
RESUMABLE = 32 * 1024 * 1024
"""Bytes from which on a file is sent so that it can go on; a smaller one is sent anew as quickly."""


class Versions(Session):
    def register_version(
        self,
        ref: str,
        *,
        files: Sequence[str | Path] = (),
        digest: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        format: str | None = None,  # noqa: A002 - the field's name
        source: str | None = None,
        progress: Progress | None = None,
    ) -> Document:
        """Register a draft and upload those of its files that the server does not have. Doing it again is harmless.

        `files` are paths; a folder stands for all files in it. Without files, `digest` alone registers content that
        is kept elsewhere. `metadata` is as `registry_core.values.Metadata`. `progress` counts bytes sent.
        """
        if bool(files) == bool(digest):
            raise HallmarkError("Invalid", "a version is its files or one digest", fix="give either files or a digest")
        paths = local.named(files)
        described = local.described(paths)
        body = present(
            ref=ref,
            files=[file.model_dump(mode="json") for file in described] or None,
            digest=digest,
            format=format,
            metadata=dict(metadata) if metadata else None,
            source=source,
        )
        written = self.ask(write("POST", "/v1/versions", body))
        if described:
            self._upload_missing(ref, paths, described, progress)
        return written

    def _upload_missing(
        self, ref: str, paths: Mapping[str, Path], described: Sequence[File], progress: Progress | None
    ) -> None:
        found = self.version(ref)
        stored = {file["name"] for file in found["files"] if file.get("uri")}
        for file in described:
            if file.name not in stored:
                self._upload(ref, paths[file.name], file.name, progress)
            elif progress:
                progress(file.size or 0)

    def upload_file(
        self, ref: str, path: str | Path, name: str | None = None, progress: Progress | None = None
    ) -> Document:
        """Upload one file that was declared at registration; `name` is its name there, by default the path's own.

        Memory stays constant. A larger file goes on where a connection, or this process, broke off.
        """
        return self._upload(ref, Path(path), name or Path(path).name, progress)

    def _upload(self, ref: str, path: Path, name: str, progress: Progress | None) -> Document:
        if not path.is_file():
            raise HallmarkError("Unusable file", f"there is no file {path}", fix="check the path")
        size = path.stat().st_size
        if size >= RESUMABLE:
            return self._upload_in_parts(version_path(ref, "uploads", name), Outgoing(path, size, progress))
        where = version_path(ref, "files", name)
        return self.ask(upload("PUT", where, Outgoing(path, size, progress).whole, OCTETS, size))

    def _upload_in_parts(self, where: str, file: Outgoing) -> Document:
        """Ask how much is there, send the rest; as often as the connection needs."""

        def attempt() -> Document:
            kept = self.head(where)
            file.at(int(kept["upload-offset"]))
            document: Document = self.send_once(rest_of(where, file.rest, file.offset, file.size))
            return document

        return self.retrying(attempt, lambda: file.offset)

    def version(self, ref: str, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Document:
        """The version's state, folded from its own events: now, or as docs/time.md says.

        `as_of`: what occurred by then; ahead of now it shows what will have run out. `known_at`: what was recorded by
        then. Times carry their zone.
        """
        return self.ask(read(version_path(ref), as_of=as_of, known_at=known_at))

    def asset(self, asset: str, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Document:
        """All versions of an asset (`kind:name`) with their states, the newest approved one and the owner.

        Times as for `version`.
        """
        return self.ask(read(f"/v1/assets/{segment(asset)}", as_of=as_of, known_at=known_at))

    def lineage(
        self,
        ref: str,
        *,
        direction: str = "both",
        depth: int | None = None,
        limit: int | None = None,
        at_least: int | None = None,
    ) -> Document:
        """What the version was made of (`up`) and what was made of it or runs with it (`down`), as nodes and edges.

        To any depth, or `depth` steps; at most `limit` versions each way (1000; at most 5000), the nearest first.
        `complete` says whether that was all, `cut` what was left out; `outdated` names what has a newer version above.
        `at_least` waits for the log index that a write returned.
        """
        asked = {"direction": direction, "depth": depth, "limit": limit, "at_least": at_least}
        return self.ask(read(version_path(ref, "lineage"), **asked))

    def amend_metadata(self, ref: str, metadata: Mapping[str, Any]) -> Document:
        """Replace the fields named; the others stay. None clears a field."""
        return self.ask(write("PATCH", version_path(ref, "metadata"), dict(metadata)))

    def attach_evidence(
        self, ref: str, type: str, path_or_bytes: str | Path | bytes, media_type: str | None = None  # noqa: A002 - the field's name
    ) -> Document:  # fmt: skip
        """Attach a document of up to 16 MiB, kept by digest. `type` is one of `registry_core.values.EvidenceType`."""
        body = local.content(path_or_bytes)
        return self.ask(
            upload("POST", version_path(ref, "evidence"), body, media_type or _media_type(body), len(body), type=type)
        )


def _media_type(body: bytes) -> str:
    return "application/json" if body.lstrip()[:1] in (b"{", b"[") else OCTETS
