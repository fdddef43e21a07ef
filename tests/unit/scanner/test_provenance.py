"""Provenance counts only if signature, key, types, fields and subject all hold."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_scanner.provenance import PREDICATE_TYPE, STATEMENT_TYPE, Provenance, verify_provenance
from hypothesis import given
from hypothesis import strategies as st
from registry_core.proofs.dsse import IN_TOTO, sign
from registry_core.proofs.keys import key_id
from registry_core.values import File, content_digest

KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}
DIGEST = "ab" * 32
ONE_FILE = {"model.safetensors": DIGEST}
MODEL = {"config.json": "01" * 32, "model.safetensors": DIGEST, "tokenizer.json": "02" * 32}
BUILD = {"buildType": "https://example.org/build/v1", "externalParameters": {"source": "git+https://example.org/r"}}
RUN = {"builder": {"id": "https://example.org/builder"}}


def statement(**fields: Any) -> dict[str, Any]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "model.safetensors", "digest": {"sha256": DIGEST}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"buildDefinition": BUILD, "runDetails": RUN},
        **fields,
    }


def envelope(document: object, key: Ed25519PrivateKey = KEY, payload_type: str = IN_TOTO) -> dict[str, Any]:
    return sign(json.dumps(document).encode(), payload_type, key)


def check(raw: bytes, files: dict[str, str] | None = None, trusted: Any = TRUSTED) -> Provenance:
    """Against a version of these files, by digest in hex."""
    named = [File(name=name, digest=f"sha256:{digest}") for name, digest in (files or ONE_FILE).items()]
    digests = {file.name: file.digest for file in named}
    return verify_provenance(raw, version_digest=content_digest(named), files=digests, trusted=trusted)


def verify(signed: object, files: dict[str, str] | None = None) -> Provenance:
    return check(json.dumps(signed).encode(), files)


def test_signed_provenance_of_the_version_is_verified():
    assert verify(envelope(statement())) == Provenance(
        verified=True, builder="https://example.org/builder", key_id=next(iter(TRUSTED))
    )


def attesting(*digests: str) -> dict[str, Any]:
    subjects = [{"digest": {"sha256": digest}} for digest in digests]
    return envelope(statement(subject=[{"name": "x", "digest": {"sha512": "00"}}, *subjects]))


def test_a_statement_about_every_file_is_verified_whatever_else_it_attests():
    assert verify(attesting("cd" * 32, *MODEL.values()), MODEL).verified


def test_a_statement_about_the_content_digest_is_verified():
    named = [File(name=name, digest=f"sha256:{digest}") for name, digest in MODEL.items()]
    assert verify(attesting(content_digest(named).removeprefix("sha256:")), MODEL).verified


@given(st.sets(st.sampled_from(sorted(MODEL)), max_size=len(MODEL) - 1))
def test_a_statement_about_some_files_names_those_it_lacks(attested: set[str]):
    outcome = verify(attesting("cd" * 32, *(MODEL[name] for name in attested)), MODEL)
    assert not outcome.verified
    lacking = [name for name in MODEL if name not in attested]
    assert f"nor of {', '.join(lacking)}; attest every file" in str(outcome.problem)


def test_a_long_list_of_files_lacking_is_cut():
    many = {f"f{n}": f"{n:064x}" for n in range(1000)}
    assert str(verify(attesting(DIGEST), many).problem).count("f") < 40
    assert "and 980 more" in str(verify(attesting(DIGEST), many).problem)


def test_the_name_of_a_subject_proves_nothing():
    outcome = verify(envelope(statement(subject=[{"name": "model.safetensors", "digest": {"sha256": "cd" * 32}}])))
    assert not outcome.verified
    assert "subject" in str(outcome.problem)
    assert outcome.builder == "https://example.org/builder"


def test_an_unknown_key_is_refused():
    outcome = verify(envelope(statement(), key=OTHER))
    assert (outcome.verified, outcome.builder, outcome.key_id) == (False, None, None)
    assert "trusted key" in str(outcome.problem)


def test_a_foreign_signature_under_a_trusted_key_id_is_refused():
    signed = envelope(statement(), key=OTHER)
    signed["signatures"][0]["keyid"] = next(iter(TRUSTED))
    assert not verify(signed).verified


def test_another_payload_type_is_refused_even_if_signed():
    assert "payloadType" in str(verify(envelope(statement(), payload_type="text/plain")).problem)


def test_a_changed_payload_type_is_refused():
    assert not verify({**envelope(statement(), payload_type="text/plain"), "payloadType": IN_TOTO}).verified


def test_without_trusted_keys_nothing_is_verified():
    raw = json.dumps(envelope(statement())).encode()
    outcome = check(raw, trusted={})
    assert "no key is trusted" in str(outcome.problem)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (statement(_type="https://in-toto.io/Statement/v0.1"), "_type"),
        (statement(predicateType="https://slsa.dev/provenance/v0.2"), "predicateType"),
        (statement(predicate=None), "predicate"),
        (statement(subject=[]), "subject"),
        (statement(subject=[{"name": "x"}]), "digest"),
        (statement(subject=["x"]), "digest"),
        (statement(predicate={"buildDefinition": {**BUILD, "buildType": ""}, "runDetails": RUN}), "buildType"),
        (statement(predicate={"buildDefinition": {"buildType": "x"}, "runDetails": RUN}), "externalParameters"),
        (statement(predicate={"buildDefinition": BUILD}), "runDetails"),
        (statement(predicate={"buildDefinition": BUILD, "runDetails": {"builder": {}}}), "builder"),
        ([1], "JSON object"),
    ],
)
def test_a_statement_that_is_no_slsa_provenance_is_refused(document: Any, said: str):
    outcome = verify(envelope(document))
    assert not outcome.verified
    assert said in str(outcome.problem)


@given(st.binary(max_size=300))
def test_no_envelope_makes_the_check_fail(raw: bytes):
    assert not check(raw).verified


@given(st.data())
def test_no_altered_payload_is_verified(data: st.DataObject):
    signed = envelope(statement())
    payload = signed["payload"]
    at = data.draw(st.integers(0, len(payload) - 4))
    changed = data.draw(st.sampled_from("ABCDwxyz0189"))
    if payload[at] != changed:
        assert not verify({**signed, "payload": payload[:at] + changed + payload[at + 1 :]}).verified
