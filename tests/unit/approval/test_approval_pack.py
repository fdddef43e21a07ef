"""Loading packs: what is accepted, and how precisely the rest is refused."""

import hashlib
from typing import Any

import pytest
import yaml
from hallmark_approval.policy import PackError, baseline_pack, load_pack
from hypothesis import given
from hypothesis import strategies as st

RULE = {
    "id": "has-owner",
    "title": "It has an owner",
    "mode": "enforce",
    "require": "metadata.owner != ''",
    "detail": "nobody owns {version.ref}",
    "evidence": ["metadata.owner"],
    "owner": "platform",
    "fix": "name an owner",
}
PACK = {
    "name": "house",
    "version": "1.0.0",
    "title": "House rules",
    "description": "For tests",
    "thresholds": {"max_age": 30, "allowed": ["MIT"]},
    "review_roles": {"low": ["product"], "medium": ["product"], "high": ["product", "security"]},
    "rules": [RULE],
}


def packed(rule: Any = None, **changed: Any):
    return yaml.safe_dump({**PACK, "rules": [{**RULE, **(rule or {})}], **changed}).encode()


def problems(raw: bytes):
    with pytest.raises(PackError) as caught:
        load_pack(raw)
    assert str(caught.value)
    assert all(p.fix and p.message for p in caught.value.problems)
    return caught.value.problems


def test_a_pack_is_known_by_the_digest_of_its_bytes():
    raw = baseline_pack()
    pack = load_pack(raw)
    assert pack.digest == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert load_pack(raw + b"\n# more\n").digest != pack.digest
    assert pack.label == "baseline@1.0.0"


def test_a_misspelt_field_is_found_when_the_pack_is_loaded_with_its_place():
    (problem,) = problems(packed({"require": "scan.verdct == 'clean'"}))
    assert (problem.rule, problem.field) == ("has-owner", "require")
    assert "1:5: undefined field 'verdct'" in problem.message
    assert "scan.verdct" in problem.message


def test_a_misspelt_field_inside_a_loop_is_found_too():
    (problem,) = problems(packed({"require": "vulnerabilities.all(v, v.severty != 'critical')"}))
    assert "undefined field 'severty'" in problem.message


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"require": "metadata.owner"}, "require", "gives STRING; must give BOOL"),
        ({"require": "evaluations.all(e, e.age_days <= '3')"}, "require", "no matching overload"),
        ({"require": "thresholds.max_aje > 1"}, "require", "undeclared reference to 'thresholds.max_aje'"),
        ({"require": "open('/etc/passwd') == ''"}, "require", "undeclared reference to 'open'"),
        ({"require": "("}, "require", "Syntax error"),
        ({"when": "1"}, "when", "gives INT; must give BOOL"),
        ({"findings": "[1]"}, "findings", "must give LIST<STRING>"),
        ({"detail": "see {scan}"}, "detail", "placeholder {scan}: gives hallmark.facts.ScanFacts"),
        ({"detail": "see {scan.verdict"}, "detail", "brace without its partner"),
        ({"fix": "{nothing}"}, "fix", "undeclared reference to 'nothing'"),
        ({"owner": "{metadata.ownr}"}, "owner", "undefined field 'ownr'"),
        ({"evidence": ["scan.verdict", "scan.nope"]}, "evidence 2", "undefined field 'nope'"),
        ({"require": "true || " * 200 + "true"}, "require", "at most 1000"),
    ],
)
def test_a_wrong_expression_names_rule_field_and_reason(changed: Any, field: str, said: str):
    (problem,) = problems(packed(changed))
    assert (problem.rule, problem.field) == ("has-owner", field)
    assert said in problem.message


@pytest.mark.parametrize(
    ("require", "said"),
    [
        ("[metadata.owner]" + ".map(a, a + a)" * 5 + ".size() == 1", "5 loops"),
        ("metadata.missing.all(a, a + a + a + a + a + a != '')", "joined by + 5 times"),
        ("metadata.missing.all(a, metadata.missing.all(b, a + b != ''))", "in a nested loop"),
        ("metadata.missing.all(a, metadata.missing.all(b, metadata.missing.all(c, c != a)))", "nested 3 deep"),
        ("metadata.missing.all(a, context.scopes.all(b, b in metadata.missing))", "nested 3 deep"),
        ("scan.findings == scan.findings", "whole lists or records compared"),
        ("dyn(scan.findings) == dyn(scan.findings)", "whole lists or records compared"),
        ("(metadata.missing + metadata.missing).size() == 0", "lists joined"),
        ("dyn(metadata.owner) + dyn('') + dyn('') + dyn('') + dyn('') + dyn('') != ''", "joined by + 5 times"),
    ],
)
def test_an_expression_that_could_cost_too_much_is_refused_unrun(require: str, said: str):
    (problem,) = problems(packed({"require": require}))
    assert said in problem.message


@pytest.mark.parametrize("field", ["when", "require", "findings"])
def test_no_rule_may_decide_by_exceptions_silently(field: str):
    source = "vulnerabilities.all(v, v.excepted)" if field != "findings" else "exceptions.map(e, e.rule)"
    (problem,) = problems(packed({field: source}))
    assert problem.field == field
    assert "never silently" in problem.message


def test_every_problem_is_told_at_once():
    found = problems(packed({"require": "nope", "fix": "{nope}", "evidence": ["nope"]}))
    assert {p.field for p in found} == {"require", "fix", "evidence 1"}


@pytest.mark.parametrize(
    ("raw", "rule", "field"),
    [
        (packed({"mode": "block"}), "has-owner", "mode"),
        (packed({"applies_to": ["modle"]}), "has-owner", "applies_to.0"),
        (packed({"surprise": 1}), "has-owner", "surprise"),
        (packed(version=1.0), None, "version"),
        (packed(rules=[]), None, "rules"),
        (packed(rules=["x"]), "#1", "rule"),
        (packed(rules=[RULE, {**RULE, "evidence": ["scan.verdict"]}]), None, "pack"),
        (packed(review_roles={"low": ["product"]}), None, "pack"),
        (packed(review_roles={"low": [], "medium": ["a"], "high": ["a"]}), None, "review_roles.low"),
        (packed(approval_valid_days=0), None, "approval_valid_days"),
        (b"a: [", None, "YAML"),
        (b"a: &x 1\nb: *x\n", None, "YAML"),
        (b"name: a\nname: b\n", None, "YAML"),
        (b"\xff\xfe\x00", None, "YAML"),
        (b"[" * 100_000, None, "YAML"),
        (b"!!python/object/apply:os.system [id]", None, "YAML"),
        (b"#" * 300_000, None, "pack"),
        (b"", None, "pack"),
        (b"3", None, "pack"),
    ],
)
def test_a_pack_out_of_shape_is_refused_at_its_place(raw: bytes, rule: Any, field: str):
    found = problems(raw)
    assert (rule, field) in {(p.rule, p.field) for p in found}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_crash_the_loader(raw: bytes):
    assert problems(raw)


@given(st.text(max_size=60))
def test_no_expression_crashes_the_loader(source: str):
    assert {p.rule for p in problems(packed({"require": f"{source}'", "fix": "{" + source, "evidence": [source]}))} <= {
        "has-owner",
        None,
    }
