"""A small hub of repositories over HTTP, as huggingface_hub asks it, which can also be told to lie."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_FROM = 1000
"""Bytes from which on a file is kept by LFS."""


@dataclass(slots=True)
class Repository:
    files: dict[str, bytes]
    tags: list[str] = field(default_factory=list)
    revisions: dict[str, str] = field(default_factory=dict)
    """Commit by branch or tag, beside `main`."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further facts: private, gated, disabled, or a `sha` that is none of the content's."""

    @property
    def sha(self) -> str:
        """Another content is another commit."""
        parts = [(name, hashlib.sha1(content).hexdigest()) for name, content in sorted(self.files.items())]
        return hashlib.sha1(json.dumps(parts).encode()).hexdigest()

    def info(self, name: str, *, blobs: bool) -> dict[str, Any]:
        siblings = [sibling(file, content, blobs=blobs) for file, content in self.files.items()]
        about = {"id": name, "modelId": name, "sha": self.sha, "private": False, "gated": False, "disabled": False}
        return {**about, "tags": self.tags, "siblings": siblings, **self.more}


def sibling(name: str, content: bytes, *, blobs: bool) -> dict[str, Any]:
    """A file as `?blobs=true` lists it, or by its name alone."""
    if not blobs:
        return {"rfilename": name}
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {"rfilename": name, "size": len(content), "blobId": blob} | (
        {"lfs": lfs} if len(content) >= LFS_FROM else {}
    )


Answer = tuple[int, dict[str, str], bytes]


@dataclass(slots=True)
class Hub:
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)
    """What is given out for a file instead of what is listed."""
    listed: list[dict[str, Any]] = field(default_factory=list)
    """Further files that every repository lists."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and credentials of every request."""
    answers: Callable[[str], Answer | None] = lambda _: None
    """Answers for a path instead of the hub; None lets the hub answer."""
    halt: tuple[str, int] | None = None
    """Of a file that is named so, what is given out before nothing more comes, in bytes."""
    halted: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str) -> Answer:
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            return self._info("/".join(parts[2:4]), parts[5] if len(parts) > 4 else "main", "blobs" in path)
        if len(parts) > 4 and parts[2] == "resolve":
            return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return error("EntryNotFound")

    def _info(self, name: str, revision: str, blobs: bool) -> Answer:
        if name in self.moved:
            return 307, {"location": f"/api/models/{self.moved[name]}"}, b""
        found = self.repositories.get(name)
        if found is None:
            return error("RepoNotFound")
        if revision not in {"main", found.sha, *found.revisions}:
            return error("RevisionNotFound")
        info = found.info(name, blobs=blobs)
        info["siblings"] += self.listed
        return 200, {"content-type": "application/json"}, json.dumps(info).encode()

    def _file(self, name: str, commit: str, file: str) -> Answer:
        found = self.repositories.get(name)
        if found is None or commit != found.sha or file not in {*found.files, *self.served}:
            return error("EntryNotFound")
        content = self.served.get(file, found.files.get(file, b""))
        tag = hashlib.sha256(content).hexdigest()
        return 200, {"x-repo-commit": commit, "etag": f'"{tag}"', "content-type": "application/octet-stream"}, content


def error(code: str) -> Answer:
    return 404, {"x-error-code": code, "x-error-message": code}, b""


@contextmanager
def hub() -> Iterator[Hub]:
    """On loopback."""
    made = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers.get("authorization")))
            status, headers, body = made.answers(self.path) or made.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self._give(body)

        def _give(self, body: bytes) -> None:
            if made.halt and self.path.endswith(made.halt[0]):
                self.wfile.write(body[: made.halt[1]])
                made.halted.set()
                made.go_on.wait()
                return
            with suppress(ConnectionError):
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server's word

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        made.go_on.set()
        server.shutdown()
        server.server_close()
