"""Artifacts and evidence by digest, over obstore: a folder, or any S3-compatible store."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, NotFoundError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from registry_core.appending import gathered, write_file
from registry_core.problems import Problem
from registry_core.settings import Settings
from registry_core.values import sha256_digest

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

CHUNK = 8 * 1024 * 1024
"""Bytes held in memory; a part of a multipart upload, of which S3 wants at least 5 MiB."""
COPY_LIMIT = 5 * 1024**3
"""Bytes that S3 copies in one request; what is larger is written to its place at once."""
INCOMING = "incoming"
"""Where content is until it is known to be right."""
_AT_ONCE = 3
"""Parts of an upload under way together; each is CHUNK bytes of memory."""
_READ = 1024 * 1024
"""Bytes read at once."""
_PIECE = 4 * 1024 * 1024
"""Bytes of a file in a folder read at once."""
EVIDENCE_LIMIT = 16 * 1024 * 1024
"""Bytes of one piece of evidence."""


def connect(url: str, settings: Settings, **options: Any) -> ObjectStore:
    """The store at a `file://` or `s3://` URL; S3 with the settings' account. Raises obstore's BaseError."""
    if not url.startswith("s3://"):
        return from_url(url, mkdir=True)
    account = {
        "aws_endpoint": settings.objects_endpoint,
        "aws_access_key_id": settings.objects_access_key,
        "aws_secret_access_key": settings.objects_secret_key.get_secret_value(),
    }
    given: dict[str, Any] = {name: value for name, value in account.items() if value}
    plain = settings.objects_endpoint.startswith("http://")
    store: ObjectStore = from_url(url, client_options={"allow_http": plain}, **given, **options)
    return store


_CONDITIONAL: dict[str, Any] = {"aws_copy_if_not_exists": "multipart"}
"""S3 has no conditional CopyObject; a multipart upload, of one copied part, it completes with `If-None-Match: *`."""


class ObjectStorage:
    """Content-addressed: an object's name is its digest, so nothing is ever replaced."""

    def __init__(self, store: ObjectStore, url: str) -> None:
        self._store, self._url = store, url

    @property
    def folder(self) -> Path | None:
        """Where the store is, if it is a folder."""
        return Path(self._store.prefix) if isinstance(self._store, LocalStore) and self._store.prefix else None

    @property
    def store(self) -> ObjectStore:
        """For what is not yet, or no longer, an object of a digest."""
        return self._store

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The store named in the settings; by default a folder in the data folder."""
        if not settings.objects_url:
            return cls.in_folder(settings.data_dir / "objects")
        return cls(connect(settings.objects_url, settings, **_CONDITIONAL), settings.objects_url)

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """A folder on this machine, made where needed, closed to other accounts."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(LocalStore(folder.absolute()), folder.absolute().as_uri())

    @staticmethod
    def path_of(digest: str) -> str:
        """Where an object is within its store."""
        algorithm, value = digest.split(":")
        return f"{algorithm}/{value[:2]}/{value}"

    async def digests(self) -> AsyncIterator[str]:
        """The digest of every object, in no order."""
        async for batch in obstore.list(self._store, prefix="sha256"):
            for entry in batch:
                yield f"sha256:{entry['path'].rpartition('/')[2]}"

    def uri(self, digest: str) -> str:
        """Where the object is, for provisioning targets."""
        return f"{self._url.rstrip('/')}/{self.path_of(digest)}"

    async def has(self, digest: str) -> bool:
        with suppress(NotFoundError, FileNotFoundError):
            await obstore.head_async(self._store, self.path_of(digest))
            return True
        return False

    async def size(self, digest: str) -> int:
        """Bytes of an object. Raises Problem 404; ConnectionError."""
        with _reading(digest):
            return (await obstore.head_async(self._store, self.path_of(digest)))["size"]

    async def put_stream(
        self, digest: str, chunks: AsyncIterable[bytes], limit: int, *, size: int | None = None
    ) -> int:
        """Store a stream whose digest (and `size`) is known beforehand; its size. Nothing wrong stays behind.

        Read to its end also where the object is there already: whoever sends it shows that they have it. Memory stays
        constant. An object is never replaced: decision 0025. Raises Problem 413 above `limit` bytes, 422 when the
        content has another digest or size.
        """
        seen = _Checked(chunks, digest, size, limit)
        if await self.has(digest):
            async for _ in seen:
                pass
        elif isinstance(self._store, S3Store) and (size is None or size > COPY_LIMIT):
            await self._write(self.path_of(digest), seen)
        else:
            await self._write_beside(digest, seen)
        return seen.size

    async def take(self, chunks: AsyncIterable[bytes], limit: int) -> tuple[str, int]:
        """Store a stream whose digest only its end tells; digest and size. Memory stays constant.

        Raises Problem 413 above `limit` bytes; nothing stays behind then, or when the stream ends in an error.
        """
        incoming, seen = f"{INCOMING}/{uuid4()}", _Counted(chunks, limit)
        try:
            await self._write(incoming, seen)
            if self.folder is None and seen.size > COPY_LIMIT:
                found = await obstore.get_async(self._store, incoming)
                await self.put_stream(seen.digest, self._chunks_of(found, incoming), limit, size=seen.size)
            else:
                await self._put_if_absent(incoming, self.path_of(seen.digest))
        finally:
            with suppress(NotFoundError, FileNotFoundError, BaseError):
                await obstore.delete_async(self._store, incoming)
        return seen.digest, seen.size

    async def adopt(self, path: str, digest: str, limit: int, *, size: int | None = None) -> None:
        """Verify what is at another path of this store, and give it its place. Raises as `put_stream`."""
        found = await obstore.get_async(self._store, path)
        async for _ in _Checked(self._chunks_of(found, path), digest, size, limit):
            pass
        await self._put_if_absent(path, self.path_of(digest))

    async def _write(self, path: str, seen: "_Counted") -> None:
        """A stream that ends in an error, a wrong digest too, leaves nothing: a multipart upload is aborted."""
        if self.folder:
            await write_file(self.folder / path, seen)
            return
        await obstore.put_async(self._store, path, gathered(seen), chunk_size=CHUNK, max_concurrency=_AT_ONCE)

    async def _write_beside(self, digest: str, seen: "_Checked") -> None:
        """Under another name first, then put where it belongs unless somebody else was faster."""
        incoming = f"{INCOMING}/{uuid4()}"
        try:
            await self._write(incoming, seen)
            await self._put_if_absent(incoming, self.path_of(digest))
        finally:
            with suppress(NotFoundError, FileNotFoundError, BaseError):
                await obstore.delete_async(self._store, incoming)

    async def _put_if_absent(self, incoming: str, path: str) -> None:
        with suppress(AlreadyExistsError):
            try:
                await obstore.copy_async(self._store, incoming, path, overwrite=False)
            except GenericError:  # a store that knows no conditional copy; what it may replace has the same bytes
                await obstore.copy_async(self._store, incoming, path)

    async def put(self, data: bytes) -> str:
        """Store some bytes; their digest."""
        digest = sha256_digest(data)
        with suppress(AlreadyExistsError):
            await obstore.put_async(self._store, self.path_of(digest), data, mode="create")
        return digest

    async def ensure(self, digest: str, data: bytes) -> None:
        """Put again what `put` stored, once an event refers to it: a collection may have run before that."""
        if not await self.has(digest):
            await self.put(data)

    async def get(self, digest: str, limit: int = EVIDENCE_LIMIT) -> bytes:
        """A whole small object. Raises Problem 404, or 413 above `limit` bytes; ConnectionError."""
        with _reading(digest):
            found = await obstore.get_async(self._store, self.path_of(digest))
        if found.meta["size"] > limit:
            raise Problem(413, "too-large", f"{digest} has {found.meta['size']} bytes; {limit} can be read at once")
        with _reading(digest):
            return bytes(await found.bytes_async())

    async def stream(self, digest: str) -> AsyncIterator[bytes]:
        """A large object in chunks. Raises Problem 404; ConnectionError."""
        async for chunk in await self.read(digest):
            yield chunk

    async def read(self, digest: str, part: tuple[int, int] | None = None) -> AsyncIterator[bytes]:
        """An object's chunks, or those of its bytes from the first number up to, and without, the second.

        Raises Problem 404 before there is a chunk; ConnectionError, then or later.
        """
        wanted: GetOptions | None = {"range": part} if part else None
        with _reading(digest):
            found = await obstore.get_async(self._store, self.path_of(digest), options=wanted)
        return self._chunks_of(found, digest)

    async def _chunks_of(self, found: "GetResult", name: str) -> AsyncIterator[bytes]:
        """In a folder piece by piece: obstore's stream of a file comes in 8 KiB, at a sixth of the speed."""
        with _reading(name):
            if self.folder is None:
                async for chunk in found.stream(min_chunk_size=_READ):
                    yield bytes(chunk)
                return
            first, end = found.range
            path = found.meta["path"]
            for start in range(first, end, _PIECE):
                stop = min(start + _PIECE, end)
                yield bytes(await obstore.get_range_async(self._store, path, start=start, end=stop))

    async def delete(self, digest: str) -> None:
        """Nothing where it is not there."""
        with suppress(NotFoundError, FileNotFoundError):
            await obstore.delete_async(self._store, self.path_of(digest))

    async def signed_url(self, digest: str, lifetime: timedelta) -> str | None:
        """An address from which anybody reads the object until it runs out; None where the store has no such."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        return await obstore.sign_async(self._store, "GET", self.path_of(digest), lifetime)

    async def download(self, digest: str, path: Any) -> None:
        """Write an object to a local file, in constant memory."""
        with await asyncio.to_thread(open, path, "wb") as file:
            async for chunk in self.stream(digest):
                await asyncio.to_thread(file.write, chunk)


@contextmanager
def _reading(digest: str) -> Iterator[None]:
    """An absent object is the caller's problem; a store that cannot be reached may be there again in a moment."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise Problem(404, "not-found", f"no object {digest}", fix="upload it first") from error
    except GenericError as error:
        raise ConnectionError(f"the artifact store does not give {digest}: {str(error)[:500]}") from error


class _Counted:
    """Passes chunks on while hashing and counting them."""

    def __init__(self, chunks: AsyncIterable[bytes], limit: int) -> None:
        self._chunks, self._limit = chunks, limit
        self._hash, self.size = hashlib.sha256(), 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._limit:
                raise Problem(
                    413, "too-large", f"more than {self._limit} bytes", fix="raise max_artifact_bytes if this is meant"
                )
            self._hash.update(chunk)
            yield chunk


class _Checked(_Counted):
    """Holds what passes against what was declared of it."""

    def __init__(self, chunks: AsyncIterable[bytes], digest: str, size: int | None, limit: int) -> None:
        """`digest` and `size` as declared."""
        super().__init__(chunks, limit)
        self._digest, self._size = digest, size

    def check(self) -> None:
        """Raises Problem 422 if what passed is not what was declared: before its reader sees its end."""
        if self.digest != self._digest:
            raise Problem(
                422, "wrong-digest", f"the content received has {self.digest}, not {self._digest}",
                fix="upload the file that was registered, or register the file that you have", field="/digest",
            )  # fmt: skip
        if self._size not in (None, self.size):
            raise self._wrong_size(f"{self.size} bytes")

    def _wrong_size(self, received: str) -> Problem:
        return Problem(
            422, "wrong-size", f"the content received has {received}, registered were {self._size}",
            fix="register the file with its real size, under a new version number", field="/size",
        )  # fmt: skip

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in super().__aiter__():
            if self._size is not None and self.size > self._size:
                raise self._wrong_size("more bytes")
            yield chunk
        self.check()
