"""A name that is not known is answered with those that are."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest

from robust.auditing.discovery import discover, find_check
from robust.auditing.gates import build_options
from robust.auditing.valid_names import told
from robust.config import read_config
from robust.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    kind: Literal["a"] | None = None
    size: float = 1.0


class Outer(msgspec.Struct):
    inner: Inner
    table: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"inner": {"kind": "b"}}, "Invalid enum value 'b' - at `$.inner.kind`; 'a' would be right"),
        ({"inner": {"kind": 3}}, "Expected `str | null`, got `int` - at `$.inner.kind`; 'a' would be right"),
        ({"inner": {"size": "x"}}, "Expected `float`, got `str` - at `$.inner.size`"),
        ({"inner": {}, "table": 3}, "Expected `object`, got `int` - at `$.table`"),
        ({}, "Object missing required field `inner`"),
    ],
)
def test_the_names_stand_behind_the_message(content, message):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(content, Outer)
    assert told(caught.value, Outer) == message


def test_options_of_gates_and_keys_of_configs():
    check = find_check(discover(), "robust_accuracy")
    with pytest.raises(
        InvalidInput, match=r"gate 'g': .*'nope' - at `\$.attack`; 'pgd', 'fgsm' or 'noise' would be right"
    ):
        build_options(check, {"attack": "nope"}, gate="g")
    with pytest.raises(
        InvalidInput, match=r"f: .*`\$.models.output`; 'probabilities', 'logits' or 'values' would be right"
    ):
        read_config({"models": {"output": "scores"}}, where="f")
