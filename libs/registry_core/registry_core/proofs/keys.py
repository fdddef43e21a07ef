"""Ed25519 keys: private ones in files that only their owner can read, public ones in their usual forms."""

import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from registry_core.proofs.canonical import from_base64, to_base64

_LARGEST_FILE = 16_384
_FIELD_PRIME = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)
"""The y of the eight points whose order divides 8; anybody can make signatures that hold under them."""


class KeyFileError(ValueError):
    """A key file that cannot be used; the message tells how to mend it."""


def generate_key(path: Path) -> Ed25519PrivateKey:
    """Make a new key at `path` (PEM, PKCS #8, mode 0600), whole or not at all; never replaces a file.

    Raises KeyFileError when something is there already.
    """
    key = Ed25519PrivateKey.generate()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_durably(draft, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        os.link(draft, path)  # unlike rename, fails when the name is taken
    except FileExistsError:
        raise KeyFileError(f"{path} exists already; move it away first if you want a new key") from None
    finally:
        draft.unlink(missing_ok=True)
    return key


def load_key(path: Path) -> Ed25519PrivateKey:
    """Raises KeyFileError, also when others than the owner may read or write the file; OSError when it is not there."""
    with path.open("rb") as file:
        _check_mode(path, os.fstat(file.fileno()).st_mode)
        pem = file.read(_LARGEST_FILE)
    try:
        key = load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} is not an unencrypted PKCS #8 key in PEM: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(
            f"{path} holds a {type(key).__name__}; Ed25519 is needed (openssl genpkey -algorithm ed25519)"
        )
    return key


def load_or_generate_key(path: Path) -> Ed25519PrivateKey:
    """The key at `path`, made at first use; two processes that start at once get the same one."""
    try:
        return load_key(path)
    except FileNotFoundError:
        pass
    try:
        return generate_key(path)
    except KeyFileError:
        return load_key(path)


def key_id(public: Ed25519PublicKey) -> str:
    """Hex SHA-256 of the 32 raw bytes."""
    return sha256(public.public_bytes_raw()).hexdigest()


def public_base64(public: Ed25519PublicKey) -> str:
    """Base64 of the 32 raw bytes, as in `SigningKeyRegistered.public_key`."""
    return to_base64(public.public_bytes_raw())


def public_from_base64(text: str) -> Ed25519PublicKey:
    """The inverse of `public_base64`. Raises ValueError, also for keys with which anybody can sign."""
    try:
        raw = from_base64(text)
        public = Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is not the base64 of a 32-byte Ed25519 key: {error}") from None
    y = int.from_bytes(raw, "little") & (2**255 - 1)  # without the sign of x
    if y >= _FIELD_PRIME or y in _SMALL_ORDER:
        raise ValueError(f"{text[:60]!r} is a small-order or non-canonical point, not a key that somebody holds")
    return public


def public_pem(public: Ed25519PublicKey) -> str:
    """SubjectPublicKeyInfo in PEM, as openssl and cosign read it."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _check_mode(path: Path, mode: int) -> None:
    if mode & 0o077:
        raise KeyFileError(
            f"{path} has mode {stat.S_IMODE(mode):04o}, so others can reach the key; run: chmod 600 {path}"
        )
