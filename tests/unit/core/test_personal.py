"""Texts sealed for a person: opened by that person's key alone, and by nothing once it is gone."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_core.personal import (
    ERASED,
    PrivacyKey,
    PrivacyKeyError,
    Sealed,
    is_pseudonym,
    new_key,
    new_pseudonym,
    seal,
    unseal,
)

KEY, OTHER = b"k" * 32, b"o" * 32
WHO = "p-00112233445566778899"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(TEXT)
def test_what_is_sealed_opens_with_the_key(text: str) -> None:
    assert unseal(seal(text, WHO, KEY), WHO, KEY) == text


@given(st.text(st.characters(categories=["L"]), min_size=6, max_size=60))
def test_it_says_nothing_without_the_key(text: str) -> None:
    sealed = seal(text, WHO, KEY)
    assert unseal(sealed, WHO, None) == ERASED
    assert text.encode() not in base64.b64decode(sealed.data)


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    assert seal("Dana", WHO, KEY) != seal("Dana", WHO, KEY)


@pytest.mark.parametrize(("who", "key"), [(WHO, OTHER), ("p-99887766554433221100", KEY)])
def test_neither_another_key_nor_another_person_opens_it(who: str, key: bytes) -> None:
    with pytest.raises(PrivacyKeyError, match="another key"):
        unseal(seal("Dana", WHO, KEY), who, key)


@given(st.integers(0, 43), st.integers(1, 255))
def test_an_altered_text_does_not_open(place: int, change: int) -> None:
    raw = bytearray(base64.b64decode(seal("sixteen letters!", WHO, KEY).data))
    raw[place] ^= change
    with pytest.raises(PrivacyKeyError):
        unseal(Sealed(scheme="aes-256-gcm", data=base64.b64encode(raw).decode()), WHO, KEY)


@pytest.mark.parametrize("raw", [b"", b"short", b"n" * 12])
def test_a_text_that_is_too_short_does_not_open(raw: bytes) -> None:
    with pytest.raises(PrivacyKeyError):
        unseal(Sealed(scheme="aes-256-gcm", data=base64.b64encode(raw).decode()), WHO, KEY)


def test_a_key_is_unwrapped_for_its_person_alone() -> None:
    master, key = PrivacyKey(KEY), new_key()
    wrapped = master.wrap(key, WHO)
    assert master.unwrap(wrapped, WHO) == key
    assert key not in wrapped
    for holder, who in ((PrivacyKey(OTHER), WHO), (master, "p-99887766554433221100")):
        with pytest.raises(PrivacyKeyError):
            holder.unwrap(wrapped, who)


def test_spellings_that_four_eyes_takes_for_one_person_are_one() -> None:
    lookup = PrivacyKey(KEY).lookup
    assert len({lookup("p", name) for name in ("Zoë", " zoë ", "ZOË", "Zoe\u0308")}) == 1
    assert len({lookup("p", name) for name in ("Zoë Ray", "Zoë  Ray", "Zoë\u200b Ray", "Zoë\u00a0Ray")}) == 1
    assert lookup("p", "Zoe") != lookup("p", "Zoë")


def test_customers_ids_are_taken_as_they_are_and_are_no_persons() -> None:
    lookup = PrivacyKey(KEY).lookup
    assert lookup("c", "A1") != lookup("c", "a1")
    assert lookup("c", "dana") != lookup("p", "dana")
    assert lookup("c", "\ud800")


def test_another_installation_finds_nobody() -> None:
    assert PrivacyKey(KEY).lookup("p", "Dana") != PrivacyKey(OTHER).lookup("p", "Dana")
    assert PrivacyKey(KEY).check != PrivacyKey(OTHER).check


@pytest.mark.parametrize("text", ["", "x", "AAAA", base64.b64encode(b"k" * 31).decode(), "${PRIVACY_KEY}"])
def test_a_malformed_key_says_how_to_make_one(text: str) -> None:
    with pytest.raises(PrivacyKeyError, match="32"):
        PrivacyKey.parse(text)


def test_a_pseudonym_is_known_by_its_form() -> None:
    assert is_pseudonym(new_pseudonym("p"))
    assert is_pseudonym(new_pseudonym("c"))
    assert len({new_pseudonym("p") for _ in range(100)}) == 100
    for other in ("dana", "p-1", f"{WHO}\n", f"x{WHO}", "q-00112233445566778899", "p-0011223344556677889G"):
        assert not is_pseudonym(other)
