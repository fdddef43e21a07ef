"""Nothing is signed but what was asked for; waiting ends."""

from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark import HallmarkError
from hallmark.api.promotions import checked_statement
from hallmark.errors import WaitTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from registry_core.proofs.canonical import canonical_json, to_base64
from registry_core.proofs.dsse import REVIEW, verify
from registry_core.proofs.keys import generate_key, key_id
from support_sdk import Connect
from unit.cli.fakes import FakeServer, FakeTime

ASKED = {"promotion": "p1", "role": "security", "outcome": "approve", "comment": "read it"}
STATEMENT = {**ASKED, "ref": "model:m@1.0.0", "digest": "sha256:0"}


def statement(document: object = STATEMENT, payload_type: str = REVIEW) -> httpx.Response:
    return httpx.Response(200, json={"payload_type": payload_type, "payload": to_base64(canonical_json(document))})


def review(connect: Connect, key: object, **more: object) -> object:
    with connect() as hallmark:
        return hallmark.review("p1", "security", "approve", "read it", key=key, **more)


def test_a_review_is_the_servers_statement_signed_with_the_local_key(
    connect: Connect, server: FakeServer, tmp_path: Path
):
    key = generate_key(tmp_path / "review.pem")
    server.will(statement(), httpx.Response(201, json={"status": "approved"}))
    assert review(connect, tmp_path / "review.pem") == {"status": "approved"}
    handed_in = server.sent
    public = {key_id(key.public_key()): key.public_key()}
    assert verify(handed_in["envelope"], REVIEW, public).payload == canonical_json(STATEMENT)
    assert {name: handed_in[name] for name in ("role", "outcome", "comment")} == {
        "role": "security", "outcome": "approve", "comment": "read it"
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        statement(payload_type="application/vnd.in-toto+json"),
        statement({**STATEMENT, "outcome": "reject"}),
        statement({**STATEMENT, "promotion": "p2"}),
        statement({**STATEMENT, "role": "product"}),
        statement({**STATEMENT, "comment": "something else"}),
        statement([]),
        httpx.Response(200, json={"payload_type": REVIEW, "payload": "*"}),
        httpx.Response(200, json={"payload_type": REVIEW, "payload": to_base64(b'{"a": 1}')}),
        httpx.Response(200, json={"payload_type": REVIEW}),
    ],
)
def test_a_statement_that_says_something_else_is_never_signed(
    connect: Connect, server: FakeServer, answer: httpx.Response
):
    server.will(answer)
    with pytest.raises(HallmarkError, match="not what was asked for"):
        review(connect, Ed25519PrivateKey.generate())
    assert len(server.requests) == 1


@given(name=st.sampled_from(sorted(ASKED)), value=st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())))
def test_any_other_value_in_a_statement_is_noticed(name: str, value: object):
    payload = canonical_json({**STATEMENT, name: value})
    if value == ASKED[name]:
        assert checked_statement(payload, ASKED) == STATEMENT
    else:
        with pytest.raises(HallmarkError):
            checked_statement(payload, ASKED)


@given(payload=st.binary(max_size=200))
def test_no_bytes_make_the_check_crash(payload: bytes):
    with pytest.raises(HallmarkError):
        checked_statement(payload, ASKED)


def test_who_does_not_agree_signs_nothing(connect: Connect, server: FakeServer):
    shown: list[object] = []
    server.will(statement())
    with pytest.raises(HallmarkError, match="not signed"):
        review(connect, Ed25519PrivateKey.generate(), agree=lambda s: bool(shown.append(s)))
    assert shown == [STATEMENT]
    assert len(server.requests) == 1


def test_a_missing_or_open_key_is_named_before_anything_is_sent(connect: Connect, server: FakeServer, tmp_path: Path):
    with pytest.raises(HallmarkError, match="hallmark key generate"):
        review(connect, tmp_path / "absent.pem")
    generate_key(tmp_path / "open.pem")
    (tmp_path / "open.pem").chmod(0o644)
    with pytest.raises(HallmarkError, match="chmod 600"):
        review(connect, tmp_path / "open.pem")
    assert server.requests == []


def wait(connect: Connect, server: FakeServer, time: FakeTime, statuses: list[str], **options: object) -> dict:
    server.will(*[httpx.Response(200, json={"status": status}) for status in statuses])
    with connect("http://h.test", "t", seconds=5, time=time) as hallmark:
        return hallmark.wait_promotion("p1", **options)


def test_waiting_ends_when_people_are_asked(connect: Connect, server: FakeServer, time: FakeTime):
    assert wait(connect, server, time, ["requested", "audited", "in_review"])["status"] == "in_review"


@pytest.mark.parametrize("end", ["refused", "rejected", "approved"])
def test_waiting_ends_with_the_promotion_whatever_was_waited_for(
    connect: Connect, server: FakeServer, time: FakeTime, end: str
):
    assert wait(connect, server, time, ["requested", end], until={"in_review"})["status"] == end


def test_waiting_ends_at_its_timeout(connect: Connect, server: FakeServer, time: FakeTime):
    with pytest.raises(WaitTimeoutError, match="still audited after 30 s"):
        wait(connect, server, time, ["audited"], timeout=30)
    assert time.now <= 31
