"""DSSE 1.0.2: the specification's vectors, thresholds and hostile envelopes."""

import base64
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.proofs.dsse import IN_TOTO, DsseError, pae, sign, verify
from registry_core.proofs.keys import key_id

ALICE, BOB, EVE = (Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2, 3))
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def public(*keys: Ed25519PrivateKey):
    return {key_id(key.public_key()): key.public_key() for key in keys}


def test_pae_is_that_of_the_specification():
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert sha256(encoded).hexdigest() == "217751fac2c4f14edb2c9297fbc34abcb016ba88e74757e875ec4ac16fb6b6a1"


def test_the_specifications_ecdsa_signature_holds_over_our_pae():
    x = 46950820868899156662930047687818585632848591499744589407958293238635476079160
    y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    assert key.verify(signature, pae("http://example.com/HelloWorld", b"hello world"), ECDSA(SHA256())) is None
    with pytest.raises(InvalidSignature):
        key.verify(signature, pae("http://example.com/HelloWorld", b"hello World"), ECDSA(SHA256()))


def test_lengths_count_bytes_not_letters():
    assert pae("ä", "ö".encode()) == b"DSSEv1 2 \xc3\xa4 2 \xc3\xb6"


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_what_is_signed_comes_back_with_its_signers(payload: bytes, payload_type: str):
    verified = verify(sign(payload, payload_type, ALICE, BOB), payload_type, public(ALICE, BOB, EVE), threshold=2)
    assert verified.payload == payload
    assert verified.key_ids == tuple(sorted(public(ALICE, BOB)))


@settings(deadline=None)
@given(st.data())
def test_a_changed_payload_or_signature_is_refused(data: st.DataObject):
    envelope = sign(PAYLOAD, IN_TOTO, ALICE)
    field = data.draw(st.sampled_from(["payload", "sig"]))
    raw = bytearray(base64.b64decode(envelope["payload"] if field == "payload" else envelope["signatures"][0]["sig"]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = base64.b64encode(raw).decode()
    bad = {**envelope, "payload": changed} if field == "payload" else {**envelope, "signatures": [{"sig": changed}]}
    with pytest.raises(DsseError, match="0 of the 1"):
        verify(bad, IN_TOTO, public(ALICE))


def test_url_safe_base64_is_accepted():
    payload = bytes(range(256))
    envelope = sign(payload, IN_TOTO, ALICE)
    assert {"+", "/"} <= set(envelope["payload"])
    url_safe = {
        **envelope,
        "payload": base64.urlsafe_b64encode(payload).decode(),
        "signatures": [{"sig": envelope["signatures"][0]["sig"].replace("+", "-").replace("/", "_")}],
    }
    assert verify(url_safe, IN_TOTO, public(ALICE)).payload == payload
    with pytest.raises(DsseError, match="mixes"):
        verify({**envelope, "payload": envelope["payload"].replace("+", "-")}, IN_TOTO, public(ALICE))


@pytest.mark.parametrize("hint", [None, "", "wrong", 7, key_id(EVE.public_key())])
def test_the_key_id_is_only_a_hint(hint: object):
    envelope = sign(PAYLOAD, IN_TOTO, ALICE)
    envelope["signatures"][0]["keyid"] = hint
    assert verify(envelope, IN_TOTO, public(ALICE, EVE)).key_ids == tuple(public(ALICE))


def test_one_key_counts_once_whatever_it_is_called():
    twice = sign(PAYLOAD, IN_TOTO, ALICE, ALICE)
    twice["signatures"][1]["keyid"] = "second"
    aliases = {"first": ALICE.public_key(), "second": ALICE.public_key()}
    with pytest.raises(DsseError, match="1 of the 2 given keys"):
        verify(twice, IN_TOTO, aliases, threshold=2)


def test_signatures_of_strangers_do_not_count_and_do_not_harm():
    envelope = sign(PAYLOAD, IN_TOTO, EVE, ALICE)
    assert verify(envelope, IN_TOTO, public(ALICE, BOB)).key_ids == tuple(public(ALICE))
    with pytest.raises(DsseError, match="1 of the 2 given keys"):
        verify(envelope, IN_TOTO, public(ALICE, BOB), threshold=2)
    with pytest.raises(DsseError, match="0 of the 0"):
        verify(envelope, IN_TOTO, {})


def test_a_swapped_payload_type_is_refused():
    envelope = sign(PAYLOAD, IN_TOTO, ALICE)
    with pytest.raises(DsseError, match="payloadType"):
        verify(envelope, "text/plain", public(ALICE))
    with pytest.raises(DsseError, match="0 of the 1"):
        verify({**envelope, "payloadType": "text/plain"}, "text/plain", public(ALICE))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"payload": None}, "payload is missing"),
        ({"payload": "a"}, "payload is not base64"),
        ({"payload": "ä"}, "payload is not base64"),
        ({"payload": "YQ==\n"}, "payload is not base64"),
        ({"payloadType": ["x"]}, "payloadType"),
        ({"signatures": []}, "1 to 64"),
        ({"signatures": {}}, "1 to 64"),
        ({"signatures": [{}] * 65}, "1 to 64"),
        ({"signatures": ["x"]}, "not an object"),
        ({"signatures": [{}]}, "sig is missing"),
        ({"signatures": [{"sig": "%"}]}, "sig is not base64"),
        ({"signatures": [{"sig": ""}]}, "0 of the 1"),
        ({"signatures": [{"sig": "YQ=="}]}, "0 of the 1"),
    ],
)
def test_a_malformed_envelope_is_refused_with_its_reason(change: dict[str, object], reason: str):
    with pytest.raises(DsseError, match=reason):
        verify({**sign(PAYLOAD, IN_TOTO, ALICE), **change}, IN_TOTO, public(ALICE))


def test_unknown_members_are_ignored_and_a_threshold_of_nothing_is_a_mistake():
    envelope = {**sign(PAYLOAD, IN_TOTO, ALICE), "extra": 1}
    assert verify(envelope, IN_TOTO, public(ALICE)).payload == PAYLOAD
    with pytest.raises(ValueError, match="at least 1"):
        verify(envelope, IN_TOTO, public(ALICE), threshold=0)
