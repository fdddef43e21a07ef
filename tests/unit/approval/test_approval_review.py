"""Four eyes over persons, and that a reviewer signed exactly what is recorded."""

import base64
import copy
import json
from collections.abc import Iterable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_approval.review import (
    Identity,
    Parties,
    ReviewSignatureError,
    check_review_envelope,
    may_review,
    review_statement,
)
from hypothesis import given
from hypothesis import strategies as st
from registry_core.persons import same_person
from registry_core.proofs.dsse import REVIEW, sign
from registry_core.proofs.keys import key_id
from registry_core.values import UseContext

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
PARTIES = Parties(
    registered_by=["Rita"],
    requested_by=["Paul"],
    uploaded_by=["Ursula"],
    amended_by=["Amos"],
    evidence_by={"Eve", "Ed"},
    exception_by=frozenset({"Xena"}),
    granted_by=["Greta"],
)
PARTS = [field.name for field in fields(Parties)]
ASKED = ("platform", "product", "security")
SAID = {
    "promotion": "p-1",
    "ref": "model:credit-risk@1.0.0",
    "digest": "sha256:" + "a" * 64,
    "policy_digest": "sha256:" + "b" * 64,
    "evidence_digests": ("sha256:" + "d" * 64, "sha256:" + "c" * 64),
    "context": UseContext(business_function="credit-scoring"),
    "role": "security",
    "outcome": "approve",
    "comment": "looked at the scan: clean",
}


def ask(
    person: str = "Sam",
    role: str = "security",
    account: str = "sam",
    roles: Any = None,
    earlier: Iterable[tuple[str, str]] = (),
):
    held = frozenset({f"reviewer:{role}"} if roles is None else roles)
    return may_review(
        role=role,
        asked_roles=ASKED,
        reviewer=Identity(account=account, person=person, roles=held),
        parties=PARTIES,
        earlier_reviews=[SimpleNamespace(role=r, person=p) for r, p in earlier],
    )


def test_a_person_without_a_part_in_it_may_review():
    assert ask() is None


@pytest.mark.parametrize(
    ("person", "part"),
    [
        ("Rita", "registered the version"),
        ("Paul", "requested the promotion"),
        ("Ursula", "uploaded files"),
        ("Eve", "produced evidence"),
        ("Ed", "produced evidence"),
        ("Amos", "amended the metadata"),
        ("Xena", "asked for an exception"),
        ("Greta", "granted an exception"),
    ],
)
@pytest.mark.parametrize("account", ["their-usual", "a-second-login", "ci"])
def test_whoever_had_a_part_may_not_review_whatever_the_account(person: str, part: str, account: str):
    refusal = ask(person=person, account=account)
    assert refusal.rule == "four-eyes"
    assert part in refusal.detail
    assert f"account {account}" in refusal.evidence
    assert refusal.fix == "ask another person with the role reviewer:security to review"


@pytest.mark.parametrize("spelling", [" rita ", "RITA", "\uff32\uff49\uff54\uff41", "\u00a0Rita"])
def test_no_spelling_makes_two_persons_of_one(spelling: str):
    assert ask(person=spelling).rule == "four-eyes"


def test_an_accent_is_one_letter_or_two():
    assert same_person("Jos\u00e9", "Jose\u0301")
    assert not same_person("Jos\u00e9", "Jose")
    assert same_person("alice", "al\u200bice\u2060\ufeff")
    assert same_person("Alice  Example", "alice\u00a0example")


def test_an_account_without_a_person_may_not_review():
    assert ask(person=" ").rule == "four-eyes"


def test_an_administrator_is_asked_the_same_as_anyone():
    everything = {"admin", "manager", "contributor", "auditor", *(f"reviewer:{r}" for r in ASKED)}
    assert ask(person="Rita", roles=everything).rule == "four-eyes"
    assert ask(roles={"admin", "manager"}).rule == "review-role-held"


def test_a_role_must_be_held_and_asked_for():
    assert ask(roles={"reviewer:product"}).detail == "sam does not hold reviewer:security"
    assert ask(role="legal").rule == "review-role-asked"


def test_a_person_reviews_for_one_role_only_but_may_review_it_again():
    assert ask(earlier=[("product", "sam")]).rule == "four-eyes"
    assert ask(earlier=[("security", "Sam"), ("product", "Tom")]) is None


@given(part=st.sampled_from(PARTS), person=st.text(min_size=1, max_size=6).filter(str.strip))
def test_any_single_part_is_enough_to_be_kept_from_reviewing(part: str, person: str):
    nobody: dict[str, Any] = dict.fromkeys(PARTS, ())
    refusal = may_review(
        role="security",
        asked_roles=ASKED,
        reviewer=Identity(account="a", person=person, roles=frozenset({"reviewer:security"})),
        parties=Parties(**{**nobody, part: [person]}),
        earlier_reviews=(),
    )
    assert refusal is not None
    assert refusal.rule == "four-eyes"


@given(
    person=st.text(max_size=6),
    parts=st.fixed_dictionaries({part: st.sets(st.text(max_size=6), max_size=3) for part in PARTS}),
    roles=st.frozensets(st.sampled_from(["admin", "manager", "reviewer:security", "reviewer:product"])),
)
def test_nobody_with_a_part_ever_gets_through(person: str, parts: dict[str, set[str]], roles: Any):
    refusal = may_review(
        role="security",
        asked_roles=ASKED,
        reviewer=Identity(account="a", person=person, roles=roles),
        parties=Parties(**parts),
        earlier_reviews=(),
    )
    clean = person not in set().union(*parts.values()) and bool(person.strip())
    if refusal is None:
        assert clean
        assert "reviewer:security" in roles


# what is signed


def signed(**changed: Any):
    statement = review_statement(**{**SAID, **changed})
    return statement, sign(statement, REVIEW, KEY)


def test_the_statement_is_canonical_json_of_all_that_is_decided():
    statement = review_statement(**SAID)
    told = json.loads(statement)
    assert statement == json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    assert set(told) == set(SAID)
    assert told["evidence_digests"] == ["sha256:" + "c" * 64, "sha256:" + "d" * 64]


def test_the_order_in_which_evidence_came_does_not_change_the_statement():
    evidence = SAID["evidence_digests"]
    assert review_statement(**{**SAID, "evidence_digests": (*reversed(evidence), evidence[0])}) == review_statement(
        **SAID
    )


def test_an_envelope_over_the_statement_holds():
    statement, envelope = signed()
    assert check_review_envelope(envelope, statement, KEYS) in KEYS


@pytest.mark.parametrize(
    "changed",
    [
        {"promotion": "p-2"},
        {"ref": "model:credit-risk@1.0.1"},
        {"digest": "sha256:" + "0" * 64},
        {"policy_digest": "sha256:" + "0" * 64},
        {"evidence_digests": ()},
        {"context": UseContext(business_function="marketing")},
        {"context": UseContext(business_function="credit-scoring", region="eu")},
        {"role": "product"},
        {"outcome": "reject"},
        {"comment": "looked at the scan: clean "},
    ],
    ids=lambda c: next(iter(c)),
)
def test_a_signature_over_anything_else_does_not_hold(changed: Any):
    _, envelope = signed(**changed)
    with pytest.raises(ReviewSignatureError, match="not what would be recorded"):
        check_review_envelope(envelope, review_statement(**SAID), KEYS)


def test_only_the_reviewers_own_key_and_type_count():
    statement, envelope = signed()
    other = Ed25519PrivateKey.generate()
    for keys in ({}, {key_id(other.public_key()): other.public_key()}):
        with pytest.raises(ReviewSignatureError, match="registered review key"):
            check_review_envelope(envelope, statement, keys)
    with pytest.raises(ReviewSignatureError):
        check_review_envelope(sign(statement, "application/vnd.in-toto+json", KEY), statement, KEYS)


def paths(value: Any, path: tuple[Any, ...] = ()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def flip(text: str, position: int):
    """Another text: one bit of one character changed."""
    at = position % len(text)
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
def test_no_mutated_envelope_verifies(data: Any):
    statement, envelope = signed()
    mutated = copy.deepcopy(envelope)
    *above, last = data.draw(st.sampled_from([p for p in paths(envelope) if p]))
    place = mutated
    for key in above:
        place = place[key]
    choices = ["junk", "drop", "add", "flip", "url-safe"] if isinstance(place[last], str) else ["junk", "drop"]
    match data.draw(st.sampled_from(choices)):
        case "junk":
            place[last] = data.draw(JUNK)
        case "drop":
            del place[last]
        case "add":
            place["note"] = "unsigned"
        case "flip":
            place[last] = flip(place[last], data.draw(st.integers(0, 10_000)))
        case "url-safe":
            place[last] = place[last].replace("+", "-").replace("/", "_")
    if mutated == envelope:
        return
    with pytest.raises(ReviewSignatureError):
        check_review_envelope(mutated, statement, KEYS)


def test_no_second_spelling_of_a_signature_holds():
    statement, envelope = signed()
    sig = envelope["signatures"][0]["sig"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    unused_bit_set = sig[:-3] + alphabet[alphabet.index(sig[-3]) + 1] + "=="
    assert base64.b64decode(unused_bit_set) == base64.b64decode(sig)
    envelope["signatures"][0]["sig"] = unused_bit_set
    with pytest.raises(ReviewSignatureError):
        check_review_envelope(envelope, statement, KEYS)
