"""The catalogue: what every check must have, and how one is found."""

import dataclasses
import inspect
import re
import sys
from types import ModuleType
from typing import get_args

import pytest

from robust.auditing import discovery
from robust.auditing.applicability import _TESTS
from robust.auditing.discovery import FAMILIES, discover, find_check
from robust.auditing.gates import build_options
from robust.check import Check, Need
from robust.costing.whole_model import ModelCost
from robust.errors import InvalidInput, RobustError
from robust.report.explanation import explain_check
from robust.types import Purpose

CHECKS = discover()


def test_every_family_has_a_check_and_they_come_in_its_order():
    families = [check.code[:3] for check in CHECKS]
    assert set(families) == set(FAMILIES)
    assert families == sorted(families, key=list(FAMILIES).index)
    assert len({check.code for check in CHECKS}) == len({check.name for check in CHECKS}) == len(CHECKS)


def test_nothing_is_registered_twice():
    assert discover() == CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
class TestEveryCheck:
    def test_code_and_name(self, check):
        assert re.fullmatch(r"[A-Z]{3}\d{3}", check.code)
        # The gate is called what the function is called, or a figure that it gives.
        # Of `cost(…)`, `layer_errors(…).sqnr`, `robustness_curve(…).area()` and `fuzz(…).failures`.
        figures = {*ModelCost.__dataclass_fields__, "layer_sqnr", "robustness_area", "fuzz_failures"}
        assert check.name == check.measure.__name__ or check.name in figures

    def test_says_why_and_what_to_do(self, check):
        for text in (check.why, check.remedy):
            assert text.endswith(".")
            assert len(text) > 40
        assert 0 < len(check.title) <= 60
        assert not check.title.endswith(".")

    def test_measure_is_documented(self, check):
        document = inspect.getdoc(check.measure)
        for part in ("Args:", "Returns:"):
            assert part in document
        assert check.code in explain_check(check)
        assert document.splitlines()[0] in explain_check(check)

    def test_options_are_frozen_and_have_defaults(self, check):
        if check.options is None:
            return
        assert dataclasses.is_dataclass(check.options)
        assert check.options.__dataclass_params__.frozen
        assert build_options(check, {}, gate="g") == check.options()
        for field in dataclasses.fields(check.options):
            assert field.name not in ("limit", "measure"), "taken by the gate itself"

    def test_needs_are_known(self, check):
        assert check.needs <= set(get_args(Need))

    def test_is_found_by_code_and_name(self, check):
        for key in (check.code, check.code.lower(), check.name):
            assert find_check(CHECKS, key) is check


def test_every_need_can_be_tested():
    assert set(_TESTS) | set(get_args(Purpose)) == set(get_args(Need))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("acuracy", r"no check is called 'acuracy'; did you mean accuracy"),
        ("MET01", r"did you mean MET0"),
        ("zzz", r"no check is called 'zzz'\. The checks are MET001 accuracy, MET002 f1, .* QNT001 degradation"),
    ],
)
def test_an_unknown_check_names_the_nearest(key, message):
    with pytest.raises(InvalidInput, match=message):
        find_check(CHECKS, key)


@pytest.mark.parametrize("attribute", ["code", "name"])
def test_two_checks_of_one_code_or_name_are_refused(monkeypatch, attribute):
    package = ModuleType("twice")
    package.__path__ = []
    double = dataclasses.replace(
        CHECKS[0], **{"name": "another", "code": "MET999", attribute: getattr(CHECKS[0], attribute)}
    )
    module = ModuleType("twice.more")
    module.CHECKS = (CHECKS[0], double)
    monkeypatch.setitem(sys.modules, "twice", package)
    monkeypatch.setitem(sys.modules, "twice.more", module)
    monkeypatch.setattr(discovery, "_PACKAGES", ("twice",))
    monkeypatch.setattr(
        discovery.pkgutil, "iter_modules", lambda _: [discovery.pkgutil.ModuleInfo(None, "more", False)]
    )
    with pytest.raises(RobustError, match=f"two checks share the {attribute}"):
        discover()


def test_a_check_is_a_value():
    assert isinstance(CHECKS[0], Check)
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHECKS[0].code = "X"
