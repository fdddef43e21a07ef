"""What is wrong with a text is said in words."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from registry_core.forms import in_words
from registry_core.values import Account, AliasName, Asset, AssetPattern, Digest, Ref, SemVer


@pytest.mark.parametrize("form", [Account, AliasName, Asset, AssetPattern, Digest, Ref, SemVer])
def test_no_pattern_of_ours_is_shown(form: Any):
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(form).validate_python("No such!")
    (fault,) = raised.value.errors()
    assert in_words(fault["msg"]).startswith("write ")


def test_other_messages_stay_as_they_are():
    for message in ("Field required", "String should match pattern '^x$'", "String should match pattern '"):
        assert in_words(message) == message
