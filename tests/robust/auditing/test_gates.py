"""Gates as a project writes them."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust.auditing.gates import GateSpec, build_gates, parse_limit
from robust.check import Check
from robust.errors import InvalidInput
from robust.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    eps: float = 0.1
    attack: str | None = None
    deep: bool = False


def sample_measure(model, data):
    """Nothing."""


def check(name="accuracy", options=Options):
    return Check(
        code="MET001",
        name=name,
        title="t",
        measure=sample_measure,
        run=sample_measure,
        why="w",
        remedy="r",
        options=options,
    )


CATALOGUE = (check(), check("loss", options=None))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e12)


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS, st.sampled_from(["", " ", "  "]))
def test_any_number_is_read_to_the_last_bit(sign, number, space):
    assert parse_limit(f"{space}{sign}{space}{number!r}{space}", gate="g") == (sign, number)
    assert parse_limit(f"{sign}-{number!r}", gate="g") == (sign, -number)


@given(st.decimals(min_value=0, max_value=1000, places=3))
def test_a_percentage_is_the_number_that_people_mean(share):
    # 99.9 % is the float nearest to 0.999, not 99.9 divided by 100.
    assert parse_limit(f"< {share}%", gate="g") == ("<", float(share / 100))


def test_sizes():
    assert parse_limit("<= 256 KiB", gate="g") == ("<=", 262144.0)
    assert parse_limit("< 1.5MiB", gate="g") == ("<", 1572864.0)
    assert parse_limit("> 1e-3", gate="g") == (">", 0.001)


@given(st.text(max_size=12))
def test_anything_else_is_refused_or_a_finite_number(text):
    message = ""
    try:
        sign, limit = parse_limit(text, gate="g")
    except InvalidInput as error:
        message = str(error)
    assert "'g'" in message or (sign in ("<", "<=", ">", ">=", "==", "!=") and math.isfinite(limit))


@pytest.mark.parametrize(
    "text",
    [
        "95%",
        "< ",
        "=< 3",
        "< 1 % %",
        "< 1 GiB",
        "< one",
        "< 0x10",
        "<> 3",
        "< 1.2.3",
        "< .",
        "< 1e999",
        "< nan",
        "< inf",
        "",
        None,
        0.95,
        True,
        ["< 1"],
    ],
)
def test_what_is_no_limit(text):
    with pytest.raises(InvalidInput, match=r"gate 'accuracy'.*"):
        parse_limit(text, gate="accuracy")


def test_a_table_of_gates():
    accuracy, deep, loss = build_gates(
        {
            "accuracy": ">= 95%",
            "deep": {"measure": "accuracy", "limit": "> 60%", "eps": 1, "deep": True},
            "loss": {"limit": "< 1"},
        },
        CATALOGUE,
    )
    assert (accuracy.check, accuracy.operator, accuracy.limit, accuracy.options) == (
        CATALOGUE[0],
        ">=",
        0.95,
        Options(),
    )
    assert (deep.name, deep.check, deep.options) == ("deep", CATALOGUE[0], Options(eps=1.0, deep=True))
    assert loss.options is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"acuracy": "> 1"}, "no check is called 'acuracy'; did you mean accuracy"),
        ({"mine": {"measure": "f1", "limit": "> 1"}}, "no check is called 'f1'"),
        ({"accuracy": {"eps": 0.3}}, "gate 'accuracy' has the limit None"),
        (
            {"accuracy": {"limit": "> 1", "epsilon": 0.3}},
            r"accuracy has no option 'epsilon'; it takes eps, attack, deep \(and limit",
        ),
        ({"loss": {"limit": "> 1", "eps": 0.3}}, "loss has no option 'eps'; it takes no options"),
        ({"accuracy": {"limit": "> 1", "eps": "small"}}, "gate 'accuracy': .*float"),
        ({"accuracy": {"limit": "> 1", "eps": True}}, "gate 'accuracy': .*float"),
        ({"accuracy": 3}, "gate 'accuracy' has the limit 3"),
        ({"accuracy": ["> 1"]}, "gate 'accuracy' has the limit"),
    ],
)
def test_what_is_not_understood(table, message):
    with pytest.raises(InvalidInput, match=message):
        build_gates(table, CATALOGUE)


def spec(sign, limit):
    return GateSpec(name="g", check=CATALOGUE[0], operator=sign, limit=limit, options=None)


def estimate(**changes):
    return Measurement(**({"name": "m", "value": 0.5, "lower": 0.4, "upper": 0.6, "n": 10, "method": "t"} | changes))


@pytest.mark.parametrize(
    ("sign", "limit", "status"),
    [
        ("<", 0.7, "PASS"),
        ("<", 0.6, "INCONCLUSIVE"),
        ("<=", 0.6, "PASS"),
        ("<", 0.4, "FAIL"),
        (">", 0.3, "PASS"),
        (">=", 0.4, "PASS"),
        (">", 0.6, "FAIL"),
    ],
)
def test_a_gate_is_the_same_comparison_as_in_python(sign, limit, status):
    verdict = spec(sign, limit).judge(estimate())
    assert (verdict.status, verdict.operator, verdict.limit) == (status, sign, limit)


def test_a_limit_that_decides_nothing_names_the_gate():
    with pytest.raises(InvalidInput, match=r"gate 'g': m < 1 decides nothing: .* did you mean 1%, in Python"):
        spec("<", 1.0).judge(estimate())


@pytest.mark.parametrize("sign", ["==", "!="])
def test_an_estimate_never_equals_a_number(sign):
    # `!= 0.5` would always be green, `== 0.4` green where a bound happens to lie.
    for limit in (0.4, 0.5, 9.0):
        with pytest.raises(InvalidInput, match="gate 'g': m is an estimate"):
            spec(sign, limit).judge(estimate())
    exact = estimate(lower=0.5, upper=0.5, method="exact")
    assert spec("==", 0.5).judge(exact).status == "PASS"
    assert spec("!=", 0.5).judge(exact).status == "FAIL"
