"""What looks like a secret leaves no line of a log, and neither do the secrets of the settings."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from registry_core.identity import new_token
from registry_core.redaction import SHOWN, RedactingFormatter, Redactor
from registry_core.settings import Settings

REDACT = Redactor([])


@given(st.from_regex(r"[a-z0-9][a-z0-9.:-]{0,20}", fullmatch=True), st.text(max_size=20), st.text(max_size=20))
def test_no_token_is_left_in_a_text(account: str, before: str, after: str) -> None:
    token, issued = new_token(account)
    told = REDACT(f"{before} {token} {after}")
    assert token.rsplit("_", 1)[1] not in told
    assert f"hmk_{account}_{issued.token_id}_{SHOWN}" in told  # which one it was can be told


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("postgresql://hallmark:pa%3Ass@db:5432/x", "pa%3Ass"),
        ("cannot connect to redis://:open-sesame@cache", "open-sesame"),
        ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJkYW5hIn0.c2lnbmF0dXJl", "eyJzdWIiOiJkYW5hIn0"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----", "MC4CAQAw"),
        ("-----BEGIN EC PRIVATE KEY-----\\nMC4CAQAwBQYDK2", "MC4CAQAw"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_taken_out(line: str, secret: str) -> None:
    assert secret in line
    assert secret not in REDACT(line)
    assert SHOWN in REDACT(line)


@pytest.mark.parametrize(
    "line",
    ["GET /v1/versions/model:credit-risk@1.0.0 200", "sha256:" + "0" * 64, "see https://hallmark.example/a@b", "hmk_"],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert REDACT(line) == line


def test_every_secret_of_the_settings_is_known_in_every_spelling() -> None:
    names = [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]
    assert names
    for name in names:
        secret = f'very "secret" {name}\\'
        redact = Redactor.of(Settings(**{name: secret}))  # type: ignore[arg-type]  # pydantic makes a SecretStr of it
        assert secret not in redact(f"it is {secret}!")
        assert json.dumps(secret)[1:-1] not in redact(json.dumps({"it": secret}))


def test_the_password_of_a_dsn_is_a_secret_by_itself() -> None:
    dsn = SecretStr("postgresql://hallmark_service:corr%40horse@db/hallmark")
    redact = Redactor.of(Settings(postgres_dsn=dsn))
    assert redact("password corr@horse of corr%40horse") == f"password {SHOWN} of {SHOWN}"


def test_an_empty_secret_hides_nothing() -> None:
    assert Redactor.of(Settings())("nothing") == "nothing"


def test_what_a_library_logs_is_redacted_with_its_traceback() -> None:
    token, _ = new_token("dana")
    error = ValueError(token)
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("lib", logging.ERROR, __file__, 1, "failed with %s", (token,), info)
    told = RedactingFormatter(REDACT).format(record)
    assert token not in told
    assert told.count(SHOWN) == 2
