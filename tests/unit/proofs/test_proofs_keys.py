"""Key files: private to their owner, whole or absent, never replaced."""

import stat
import threading
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_public_key as load_pem
from registry_core.proofs.keys import (
    KeyFileError,
    generate_key,
    key_id,
    load_key,
    load_or_generate_key,
    public_base64,
    public_from_base64,
    public_pem,
)


def test_a_generated_key_is_private_and_loads_again(tmp_path: Path):
    path = tmp_path / "ledger.pem"
    key = generate_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert load_key(path).private_bytes_raw() == key.private_bytes_raw()
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_key_is_never_replaced(tmp_path: Path):
    path = tmp_path / "ledger.pem"
    before = generate_key(path).private_bytes_raw()
    with pytest.raises(KeyFileError, match="exists already"):
        generate_key(path)
    assert load_key(path).private_bytes_raw() == before
    assert list(tmp_path.iterdir()) == [path]


def test_all_who_start_at_once_get_the_same_key(tmp_path: Path):
    found = []
    start = threading.Barrier(8)

    def first_use() -> None:
        start.wait()
        found.append(load_or_generate_key(tmp_path / "key.pem").private_bytes_raw())

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int):
    path = tmp_path / "ledger.pem"
    generate_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(path)


def other_files():
    plain, locked = NoEncryption(), BestAvailableEncryption(b"secret")
    ed25519, ecdsa = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
    yield "holds a", ecdsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain)
    yield "unencrypted", ed25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    yield "unencrypted", b""
    yield "unencrypted", b"\xff" * 100
    yield "unencrypted", public_pem(ed25519.public_key()).encode()


@pytest.mark.parametrize(("reason", "content"), list(other_files()))
def test_other_files_are_refused_with_their_reason(tmp_path: Path, reason: str, content: bytes):
    path = tmp_path / "ledger.pem"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=reason):
        load_key(path)


def test_public_forms_agree():
    public = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key()
    assert public_from_base64(public_base64(public)) == public
    assert load_pem(public_pem(public).encode()) == public
    assert key_id(public) == "34750f98bd59fcfc946da45aaabe933be154a4b5094e1c4abf42866505f3c97e"


@pytest.mark.parametrize("text", ["", "AAAA", "%", "ä", "A" * 43])
def test_what_is_no_public_key_is_refused(text: str):
    with pytest.raises(ValueError, match="not the base64 of a 32-byte"):
        public_from_base64(text)


P = 2**255 - 19
EIGHTH = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")


@pytest.mark.parametrize("y", [0, 1, P - 1, EIGHTH, P - EIGHTH, P, P + 1, P + 18])
@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_a_key_with_which_anybody_can_sign_is_refused(y: int, sign: int):
    with pytest.raises(ValueError, match="small-order or non-canonical"):
        public_from_base64(b64encode((y | sign).to_bytes(32, "little")).decode())
