"""The plugin in real runs of pytest: each form of an assertion, rewritten or not, in one process or more."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from robust.evidence import Fact, Flips, Rows, SelfCheck, Slice, Slices, Values
from robust.intervals.interval import RootSizing
from robust.measurement import Measurement
from robust.report.assertion import assertion_lines, evidence_lines
from robust.report.gate_table import gate_property, gate_table
from robust.verdict import Verdict

HAND = """
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from robust.evidence import Flips, SelfCheck, Slice, Slices, Values
from robust.measurement import Measurement

@dataclass(frozen=True)
class Root:
    value: float
    lower: float
    upper: float
    n: int

    def at(self, n):
        shrink = math.sqrt(self.n / n)
        return tuple(self.value + (bound - self.value) * shrink for bound in (self.lower, self.upper))

def degradation(value, lower, upper, n, *evidence):
    sizing = Root(value, lower, upper, n)
    return Measurement(name="degradation", value=value, lower=lower, upper=upper, n=n, method="by-hand",
                       sizing=sizing, evidence=evidence, reach=(-1.0, 1.0))

good = degradation(0.001, -0.0004, 0.0024, 10000)
bad = degradation(0.0183, 0.0155, 0.0212, 10000,
    Values(metric="accuracy", reference=0.9234, candidate=0.9051),
    Flips(right_to_wrong=241, wrong_to_right=58, n=10000, p=1.2e-27, rows=(8841, 173, 5520, 12)),
    Slices(by="class", measure="degradation", level=0.95,
           slices=(Slice(name="class=truck", n=1013, value=0.081, lower=0.0548, upper=0.1072),)))
unclear = degradation(0.007, 0.0018, 0.0123, 2000)
masked = Measurement(name="robust accuracy", value=0.9, lower=0.88, upper=0.92, n=500, method="by-hand",
    validity=(SelfCheck(name="masked gradients", passed=False, reason="noise finds more", bias="raises"),))

def ship(m):
    assert m < 0.01

def all_pass(verdicts):
    return all(verdicts)

def in_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()
"""

PREAMBLE = """
import unittest
from decimal import Decimal
import pytest
from hand import *
"""

BAD, UNCLEAR, INVALID = "0.0183 < 0.01", "0.007 < 0.01", "0.9 > 0.6"

#: What each form of a test comes to, and what the first line of its message must hold.
FORMS: dict[str, tuple[str, str, str]] = {
    # A gate that fails.
    "lt": ("assert bad < 0.01", "failed", f"{BAD} [FAIL: 95% lower bound 0.0155, n=10000]"),
    "reversed": ("assert 0.01 > bad", "failed", f"{BAD} [FAIL"),
    "decimal": ("assert Decimal('0.01') >= bad", "failed", "0.0183 <= 0.01 [FAIL"),
    "chain": ("assert -0.5 < bad < 0.01", "failed", f"{BAD} [FAIL"),
    "variable": ("ok = bad < 0.01; assert ok", "failed", f"{BAD} [FAIL"),
    "truth": ("ok = bool(bad < 0.01)\nassert ok", "failed", f"{BAD} [FAIL"),
    "all": ("assert all([good < 0.01, bad < 0.01, good < 0.02])", "failed", f"{BAD} [FAIL"),
    "any": ("assert any([bad < 0.01, bad < 0.011])", "failed", "0.0183 < 0.011 [FAIL"),
    "both": ("assert good < 0.01 and bad < 0.01", "failed", f"{BAD} [FAIL"),
    # Rewritten, both operands are explained, the first one first; plain, the one that settled it.
    "either": ("assert bad < 0.01 or unclear < 0.01", "failed", " < 0.01 ["),
    "lines": ("assert (\n    bad\n    < 0.01\n)", "failed", f"{BAD} [FAIL"),
    "helper": ("ship(bad)", "failed", f"{BAD} [FAIL"),
    "helper_all": ("assert all_pass([good < 0.01, bad < 0.01])", "failed", f"{BAD} [FAIL"),
    "thread": ("ok = in_thread(lambda: bool(bad < 0.01))\nassert ok", "failed", f"{BAD} [FAIL"),
    "equal": ("assert (bad < 0.01) == True", "failed", f"{BAD} [FAIL"),
    "message": ("assert bad < 0.01, 'do not ship'", "failed", "do not ship"),
    "unrelated": ("assert bad < 0.01 or True\nassert 1 == 2, 'mine'", "failed", "mine"),
    "negated_pass": ("assert not good < 0.01", "failed", "0.001 < 0.01 [PASS: 95% upper bound 0.0024"),
    "unsettled": ("assert unclear < 0.01", "failed", f"{UNCLEAR} [INCONCLUSIVE, need n>=6243: 95% upper"),
    "invalid": ("assert masked > 0.6", "failed", f"{INVALID} [INVALID: 95% lower bound 0.88, n=500]"),
    # An unsettled verdict that the test turned into a pass.
    "not_unsettled": ("assert not unclear < 0.01", "failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "not_invalid": ("assert not masked > 0.6", "failed", f"{INVALID} [INVALID"),
    "if_unsettled": ("if unclear < 0.01:\n    raise RuntimeError", "failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "or_unsettled": ("assert unclear < 0.01 or good < 0.01", "failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "any_unsettled": ("assert any([unclear < 0.01, good < 0.01])", "failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "differs_unsettled": ("assert (unclear < 0.01) != True", "failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "thread_unsettled": ("in_thread(lambda: bool(unclear < 0.01))", "failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "raises_unsettled": (
        "with pytest.raises(AssertionError):\n    assert unclear < 0.01", "failed", f"{UNCLEAR} [INCON",
    ),
    "xpass_unsettled": (
        "@pytest.mark.xfail(strict=False)\nassert not unclear < 0.01", "failed", f"{UNCLEAR} [INCONCLUSIVE",
    ),
    "xpass_strict": ("@pytest.mark.xfail(strict=True)\nassert not unclear < 0.01", "failed", "[XPASS(strict"),
    # What stays as it is.
    "passes": ("assert good < 0.01", "passed", ""),
    "not_failed": ("assert not bad < 0.01", "passed", ""),
    "not_faked": ("assert masked < 0.95", "passed", ""),
    "status": ("assert (unclear < 0.01).status == 'INCONCLUSIVE'", "passed", ""),
    "value": ("assert unclear.value < 0.01", "passed", ""),
    "allowed": ("@pytest.mark.robust_allow_inconclusive\nassert not unclear < 0.01", "passed", ""),
    "allowed_invalid": ("@pytest.mark.robust_allow_inconclusive\nassert not masked > 0.6", "passed", ""),
    "xfails": ("@pytest.mark.xfail(strict=True)\nassert unclear < 0.01", "xfailed", ""),
    "skips": ("if not unclear < 0.01:\n    pytest.skip('too few rows')", "skipped", ""),
}  # fmt: skip

OTHERS = """
@pytest.fixture
def gated():
    if unclear < 0.01:
        raise RuntimeError

@pytest.fixture
def closing():
    yield
    assert not unclear < 0.01

@pytest.fixture
def refusing():
    assert bad < 0.01

@pytest.fixture
def verdict():
    return unclear < 0.01

def test_in_setup(gated): pass
def test_in_teardown(closing): pass
def test_fails_in_setup(refusing): pass
def test_from_fixture(verdict): assert not verdict

class TestUnit(unittest.TestCase):
    def test_assert_true(self): self.assertTrue(bad < 0.01)
    def test_plain_assert(self): assert bad < 0.01
    def test_assert_false(self): self.assertFalse(unclear < 0.01)
    def test_passes(self): self.assertTrue(good < 0.01)
    @unittest.expectedFailure
    def test_expected(self): assert unclear < 0.01
    @unittest.expectedFailure
    def test_unexpected(self): assert not unclear < 0.01
"""

EXPECTED = {f"test_{name}": (outcome, text) for name, (_, outcome, text) in FORMS.items()} | {
    "test_in_setup": ("error", f"{UNCLEAR} [INCONCLUSIVE"),
    "test_in_teardown": ("error", f"{UNCLEAR} [INCONCLUSIVE"),
    "test_fails_in_setup": ("error", f"{BAD} [FAIL"),
    "test_from_fixture": ("failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "test_assert_true": ("failed", f"{BAD} [FAIL"),
    "test_plain_assert": ("failed", f"{BAD} [FAIL"),
    "test_assert_false": ("failed", f"{UNCLEAR} [INCONCLUSIVE"),
    "test_expected": ("xfailed", ""),
    "test_unexpected": ("failed", "Unexpected success"),
}


def written(forms: dict[str, tuple[str, str, str]]) -> str:
    """A test module with one test a form; a line that starts with @ decorates it."""
    parts = [PREAMBLE]
    for name, (source, _, _) in forms.items():
        lines = source.splitlines()
        marks = [line for line in lines if line.startswith("@")]
        body = [f"    {line}" for line in lines if not line.startswith("@")]
        parts.append("\n".join([*marks, f"def test_{name}():", *body]))
    return "\n\n".join(parts)


@dataclass(frozen=True)
class Run:
    """What one run of pytest left behind."""

    code: int
    out: str
    cases: dict[str, tuple[str, str]]  # outcome and message
    blocks: dict[str, str]  # failure sections by heading
    table: list[str]


def run_pytest(folder: Path, *options: str) -> Run:
    """Run pytest in a folder, in a process of its own."""
    left_out = ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER")
    environment = {key: value for key, value in os.environ.items() if key not in left_out} | {"COLUMNS": "200"}
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "--junitxml=junit.xml",
    ]
    done = subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    out = done.stdout + done.stderr
    assert (folder / "junit.xml").exists(), out
    cases = {}
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):
        child = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome, message = "passed", ""
        if child is not None:
            outcome = {"failure": "failed"}.get(child.tag, child.tag)
            outcome = "xfailed" if child.get("type") == "pytest.xfail" else outcome
            message = re.sub(r"  \[", " [", child.get("message", ""))
        cases[case.get("name", "")] = (outcome, message)
    pieces = re.split(r"^_{3,} (.*?) _{3,}$", out.partition("= robustness gates =")[0], flags=re.MULTILINE)
    blocks = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    after = out.partition("= robustness gates =")[2].splitlines()[1:]
    end = next((at for at, line in enumerate(after) if line.startswith("==")), len(after))
    return Run(done.returncode, out, cases, blocks, after[:end])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Run]:
    """Runs of all forms, each made once."""
    made: dict[tuple[str, str], Run] = {}

    def run(mode: str, workers: str) -> Run:
        if (mode, workers) not in made:
            folder = tmp_path_factory.mktemp(f"{mode}{workers}")
            (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra --strict-markers\n")
            (folder / "hand.py").write_text(HAND)
            (folder / "test_forms.py").write_text(written(FORMS) + OTHERS)
            made[mode, workers] = run_pytest(folder, f"--assert={mode}", "-n", workers)
        return made[mode, workers]

    return run


MODES = pytest.mark.parametrize(
    ("mode", "workers"), [("rewrite", "0"), ("plain", "0"), ("rewrite", "2"), ("plain", "2")]
)


@MODES
@pytest.mark.parametrize("name", EXPECTED)
def test_every_form(runs: Callable[[str, str], Run], mode: str, workers: str, name: str) -> None:
    outcome, text = EXPECTED[name]
    found, message = runs(mode, workers).cases[name]
    assert found == outcome, message
    assert text in message.splitlines()[0] if text else not message or outcome in ("xfailed", "skipped")


@MODES
def test_every_failure_of_a_gate_carries_its_evidence(runs: Callable[[str, str], Run], mode: str, workers: str) -> None:
    run = runs(mode, workers)
    for name, (outcome, _) in EXPECTED.items():
        blocks = [block for heading, block in run.blocks.items() if heading.split(".")[-1].endswith(name)]
        if outcome in ("failed", "error"):
            assert blocks, f"no block for {name}"
            assert all("- robustness evidence -" in block for block in blocks), name
            assert all(re.search(r"measured +(degradation|robust accuracy) 0\.", block) for block in blocks), name
    assert "right->wrong rows: 8841, 173, 5520, 12" in run.blocks["test_lt"]


@MODES
def test_the_run_ends_as_pytest_ends_it(runs: Callable[[str, str], Run], mode: str, workers: str) -> None:
    run = runs(mode, workers)
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in run.out
    assert "warnings summary" not in run.out
    assert re.search(r"FAILED test_forms\.py::test_lt - .*0\.0183 < 0\.01  \[FAIL: 95% lower bound 0\.0155", run.out)


@MODES
def test_the_closing_table_is_the_same_everywhere(runs: Callable[[str, str], Run], mode: str, workers: str) -> None:
    table = runs(mode, workers).table
    assert table == runs("rewrite", "0").table
    assert table[0].split() == ["gate", "value", "bound", "limit", "margin", "n", "verdict"]
    rows = [line.split("::", 1)[1].split() for line in table[1:-1]]
    assert rows == sorted(rows, key=lambda row: row[0])
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["test_lt"] == ["0.0183", "0.0155", "<", "0.01", "-0.0055", "10000", "FAIL"]
    assert by_name["test_passes"] == ["0.001", "0.0024", "<", "0.01", "+0.0076", "10000", "pass"]
    assert by_name["test_unsettled"][-3:] == ["INCONCLUSIVE,", "need", "n>=6243"]
    assert by_name["test_not_invalid"][-1] == "INVALID"
    assert by_name["test_in_teardown"][-3] == by_name["test_in_setup"][-3] == "INCONCLUSIVE,"
    assert [row[1] for row in rows if row[0] == "test_both"] == ["[degradation]"] * 2
    # The third of all([…]) was never reached, and `status` asked for no truth value.
    assert table[-1].startswith("2 comparisons were never asserted, the first in test_forms.py::test_all")


def test_a_rewritten_comparison_is_explained_in_at_most_eight_lines(runs: Callable[[str, str], Run]) -> None:
    block = runs("rewrite", "0").blocks["test_lt"].partition("- robustness evidence")[0]
    assert [line[1:].strip() for line in block.splitlines() if line.startswith("E ")] == [
        "assert 0.0183 < 0.01  [FAIL: 95% lower bound 0.0155, n=10000]",
        "accuracy  0.9234 -> 0.9051, degradation 0.0183 (95% one-sided: 0.0155 .. 0.0212)",
        "flips     241 right->wrong, 58 wrong->right of 10000; exact McNemar p=1e-27",
        "worst     class=truck: degradation 0.081 on n=1013 (0.0548 .. 0.1072), over the limit on its own",
        "rows      right->wrong: 8841, 173, 5520 (+238)",
    ]


@MODES
def test_an_unsettled_pass_says_which_comparison_where_and_what_to_do(
    runs: Callable[[str, str], Run], mode: str, workers: str
) -> None:
    run = runs(mode, workers)
    source = (written(FORMS) + OTHERS).splitlines()
    line = source.index("def test_not_unsettled():") + 2
    block = run.blocks["test_not_unsettled"]
    assert f"was used as a truth value at test_forms.py:{line}, and nothing failed" in block
    assert "the limit 0.01 lies inside the interval 0.0018 .. 0.0123" in block
    assert "use n>=6243 rows" in block
    assert "robust_allow_inconclusive" in block
    helper = "self.assertFalse"  # the user's line, not one of unittest's
    assert f"at test_forms.py:{next(at for at, text in enumerate(source, 1) if helper in text)}," in run.out


# --- other ways in which a test may hold a verdict ----------------------------------------------------------


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the hand-made measurements."""
    pytester.makepyfile(hand=HAND)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    return pytester


def line_of(pytester: pytest.Pytester, name: str, text: str) -> int:
    lines = (pytester.path / name).read_text().splitlines()
    return next(at for at, line in enumerate(lines, 1) if text in line)


def run_inner(pytester: pytest.Pytester, source: str, *options: str) -> Run:
    pytester.makepyfile(PREAMBLE + source)
    return run_pytest(pytester.path, *options)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_subtests(inner: pytest.Pytester, workers: str) -> None:
    run = run_inner(
        inner,
        """
def test_hidden(subtests):
    with subtests.test("first"):
        assert not unclear < 0.01
    with subtests.test("second"):
        assert good < 0.01

def test_failing(subtests):
    with subtests.test("first"):
        assert bad < 0.01

class TestUnit(unittest.TestCase):
    def test_unit(self):
        for m in (good, unclear):
            with self.subTest(m=m.value):
                assert not m < 0.01 or m is good
""",
        "-n",
        workers,
    )
    assert run.code == 1
    for text in ("assert not unclear < 0.01", "assert not m < 0.01 or m is good"):
        line = line_of(inner, "test_subtests.py", text)
        assert f"at test_subtests.py:{line}, and nothing failed" in run.out
    assert "SUBFAILED[first] test_subtests.py::test_failing - assert 0.0183 < 0.01  [FAIL" in run.out
    assert run.out.count("SUBFAILED") == 1  # the unsettled ones fail their whole test
    assert sum("test_hidden [degradation]" in line for line in run.table) == 2


def test_many_examples_are_capped_but_no_unsettled_one_is_missed(inner: pytest.Pytester) -> None:
    run = run_inner(
        inner,
        """
from hypothesis import given, settings, strategies as st

@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(st.integers(1, 10**6))
def test_examples(k):
    m = degradation(0.001, -0.001, 0.002 + k / 10**9, 1000)
    assert m < 0.01

def test_needle():
    for k in range(300):
        bool(degradation(0.001, -0.001, 0.002 + (0.01 if k == 123 else k / 10**6), 1000) < 0.01)
        bool(degradation(0.001, -0.001, 0.002 + (0.01 if k == 123 else k / 10**6), 1000) < 0.01)
""",
    )
    assert run.cases["test_examples"][0] == "passed"
    assert run.cases["test_needle"][0] == "failed"
    needle = [line for line in run.table if "test_needle" in line]
    assert len(needle) == 51
    assert sum("INCONCLUSIVE" in line for line in needle) == 1
    assert needle[-1].endswith("(250 more comparisons)")


def test_a_module_that_chooses_its_tests_by_an_unsettled_verdict_is_refused(inner: pytest.Pytester) -> None:
    source = """
if unclear < 0.01:
    def test_hidden():
        raise AssertionError
def test_shown(): pass
"""
    inner.makepyfile(
        test_refused=PREAMBLE + source,
        test_allowed=PREAMBLE + "pytestmark = pytest.mark.robust_allow_inconclusive\n" + source,
        test_settled=PREAMBLE + source.replace("unclear", "bad"),
    )
    run = run_pytest(inner.path, "--continue-on-collection-errors")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert "1 error" in run.out
    assert "2 passed" in run.out
    line = line_of(inner, "test_refused.py", "if unclear < 0.01:")
    assert re.search(rf"INCONCLUSIVE(.|\n)*used as a truth value at test_refused\.py:{line},", run.out)


def test_a_condition_to_skip_that_is_unsettled_is_an_error(inner: pytest.Pytester) -> None:
    source = "@pytest.mark.skipif(unclear < 0.01, reason='-')\ndef test_it(): assert good < 0.01"
    run = run_inner(inner, source)
    assert run.cases["test_it"][0] == "error"
    assert "0.007 < 0.01  [INCONCLUSIVE" in run.cases["test_it"][1].replace(" [", "  [")


def test_the_table_names_parameters_classes_and_gates(inner: pytest.Pytester) -> None:
    run = run_inner(
        inner,
        """
class TestRelease:
    @pytest.mark.parametrize("eps", [0.1, "a b"])
    def test_it(self, eps):
        assert good < 0.01
        assert good < 0.01
        assert masked < 0.95
""",
    )
    assert [line.split("  ")[0] for line in run.table[1:]] == [
        f"test_the_table_names_parameters_classes_and_gates.py::TestRelease::test_it[{eps}] [{name}]"
        for eps in ("0.1", "a b")
        for name in ("degradation", "robust accuracy")
    ]


@pytest.mark.parametrize(("switch", "workers"), [(True, "0"), (False, "0"), (False, "2")])
def test_gates_are_properties_in_junit_unless_switched_off(inner: pytest.Pytester, switch: bool, workers: str) -> None:
    run = run_inner(
        inner,
        "def test_it(record_property):\n    record_property('mine', 1)\n    assert good < 0.01",
        "-n", workers, "-o", f"robust_junit_properties={switch}", "-o", "junit_family=xunit1",
    )  # fmt: skip
    assert "test_it" in run.table[1]
    found = {p.get("name"): p.get("value") for p in ElementTree.parse(inner.path / "junit.xml").iter("property")}
    assert found.pop("mine") == "1"
    if not switch:
        assert not found
        return
    gate = json.loads(found.pop("robust_gate") or "")
    assert gate == {
        "name": "degradation", "operator": "<", "n": 10000, "used": True, "status": "PASS", "needed_n": None,
        "value": 0.001, "bound": 0.0024, "limit": 0.01, "margin": pytest.approx(0.0076),
    }  # fmt: skip
    assert not found


def test_a_run_without_gates_prints_no_table_and_loads_nothing(inner: pytest.Pytester) -> None:
    (inner.path / "pyproject.toml").write_text('[project]\nname = "decide"\n')
    inner.makepyfile(
        """
        import sys
        def test_it():
            assert "robust.pytest_plugin" in sys.modules
            heavy = {"numpy", "scipy", "torch", "msgspec", "robust.verdict", "robust.report.assertion"}
            assert not heavy & set(sys.modules)
        """
    )
    run = run_pytest(inner.path)
    assert run.code == 0, run.out
    assert "robustness" not in run.out


def test_a_property_of_another_origin_does_not_break_the_summary(inner: pytest.Pytester) -> None:
    source = "def test_it(record_property):\n    record_property('robust_gate', '{x')\n    assert good < 0.01"
    run = run_inner(inner, source, "-o", "junit_family=xunit1")
    assert run.code == 0
    assert "INTERNALERROR" not in run.out


def test_an_item_that_runs_again_starts_afresh(inner: pytest.Pytester) -> None:
    inner.makeconftest(
        """
        from _pytest.runner import runtestprotocol
        def pytest_runtest_protocol(item, nextitem):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            runtestprotocol(item, nextitem=nextitem, log=False)
            runtestprotocol(item, nextitem=nextitem, log=True)
            return True
        """
    )
    run = run_inner(inner, "RUNS = []\ndef test_it():\n    RUNS.append(1)\n    assert good < 0.01 * len(RUNS)")
    assert run.code == 0
    assert len(run.table) == 2
    assert "< 0.02" in run.table[1]


# --- the project's choice of what decides -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "workers"),
    [("pyproject.toml", '[tool.robust]\ndecide="value"', "2"), ("robust.toml", 'decide = "value"', "0")],
)
def test_decide_by_value(inner: pytest.Pytester, name: str, content: str, workers: str) -> None:
    (inner.path / name).write_text(content)
    run = run_inner(
        inner,
        "def test_it(): assert unclear < 0.01\ndef test_invalid(): assert masked > 0.6\n",
        "-n",
        workers,
    )
    assert run.cases["test_it"][0] == "passed"
    assert run.cases["test_invalid"][0] == "failed"


def test_decide_by_bound_is_the_default_and_robust_toml_comes_first(inner: pytest.Pytester) -> None:
    (inner.path / "pyproject.toml").write_text('[tool.robust]\ndecide = "value"\n')
    (inner.path / "robust.toml").write_text('decide = "bound"\n')
    assert run_inner(inner, "def test_it(): assert unclear < 0.01\n").cases["test_it"][0] == "failed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('decide = "point"\n', 'robust.toml: decide must be "bound" or "value", got \'point\''),
        ("decide = true\n", 'robust.toml: decide must be "bound" or "value", got True'),
        ("decide = \n", "robust.toml is not valid TOML"),
    ],
)
def test_a_wrong_choice_is_a_usage_error(pytester: pytest.Pytester, content: str, message: str) -> None:
    (pytester.path / "robust.toml").write_text(content)
    pytester.makepyfile("def test_it(): pass")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: {message}*".replace("[", "[[]")])


# --- the lines themselves -----------------------------------------------------------------------------------

LONG = "a name that goes on \x1b[31mand\non " * 20
CROWDED: dict[str, Any] = {
    "sizing": RootSizing(value=0.007, lower=0.0018, upper=0.0123, n=2000),
    "evidence": (
        Values(metric=LONG, reference=0.9, candidate=0.8),
        Flips(right_to_wrong=10**9, wrong_to_right=10**9, n=10**10, p=0.5, rows=(LONG,) * 50),
        Slices(by=LONG, measure=LONG, level=0.95, slices=(Slice(name=LONG, n=1, value=1, lower=0, upper=2),) * 30),
        Rows(what=LONG, ids=(LONG,) * 50, values=(0.5,) * 50, total=10**6),
        Fact(name=LONG, value=LONG),
    ),
}


def measured(value: float = 0.007, lower: float = 0.0018, upper: float = 0.0123, **other: Any) -> Measurement:
    return Measurement(
        **{"name": "drop", "n": 2000, "method": "by-hand"} | other, value=value, lower=lower, upper=upper
    )


CHECK = SelfCheck(name=LONG, passed=False, reason=LONG, bias="either")


@pytest.mark.parametrize(
    "verdict",
    [
        measured(**CROWDED) < 0.01,
        measured(**CROWDED) < 0.001,
        measured(**CROWDED, validity=(CHECK,)) < 0.001,
        measured(**CROWDED | {"name": LONG}) >= 0.01,
    ],
)
def test_whatever_the_evidence_pytest_has_nothing_to_cut(verdict: Verdict) -> None:
    lines = assertion_lines(verdict)
    assert len(lines) <= 8
    assert sum(map(len, lines)) <= 640
    assert all(line.isprintable() for line in lines + evidence_lines(verdict))
    if verdict.status != "FAIL":
        assert lines[-1].startswith("  fix ")


@pytest.mark.parametrize(
    ("verdict", "fix"),
    [
        (
            measured(**CROWDED) < 0.01,
            "use n>=6243 rows (PASS there if the observed rates hold) or relax the limit",
        ),
        (
            measured(**CROWDED) < 0.006,
            "the value misses the limit: improve the model; n>=54081 rows would settle",
        ),
        (measured(**CROWDED) > 0.006, "use n>=54081 rows (PASS there"),
        (measured(**CROWDED) < 0.007, "no n settles it, the value equals the limit"),
        (measured() < 0.01, "use more rows or relax the limit"),
        (measured(validity=(CHECK,)) < 0.01, "more rows do not help: the self-check must pass"),
    ],
)
def test_what_to_do(verdict: Verdict, fix: str) -> None:
    assert assertion_lines(verdict)[-1].removeprefix("  fix       ").startswith(fix)


def test_identical_and_red_is_explained() -> None:
    flips = Flips(right_to_wrong=0, wrong_to_right=0, n=128, p=1.0, rows=())
    lines = assertion_lines(measured(0.0, -0.0278, 0.0278, n=128, evidence=(flips,)) < 0.01)
    assert "  flips     0 of 128 rows flipped; 128 rows rule out only a drop above 0.0278" in lines


def test_a_slice_is_held_against_the_limit_only_on_its_own_scale() -> None:
    part = Slice(name="a", n=9, value=0.08, lower=0.05, upper=0.1)
    slices = Slices(by="class", measure="drop", level=0.95, slices=(part,))
    m = measured(0.07, 0.06, 0.08, sizing=CROWDED["sizing"], evidence=(slices,))
    assert any("over the limit on its own" in line for line in assertion_lines(m < 0.01))
    assert not any("on its own" in line for line in assertion_lines(100 * m < 1))
    assert not any("on its own" in line for line in assertion_lines(m < 0.055))


def test_the_table_keeps_infinities_and_tells_close_numbers_apart() -> None:
    verdicts = [
        measured(0.0104, -math.inf, math.inf) < 0.01,
        measured(0.010004, 0.010002, 0.010006) < 0.01,
        measured(math.nan, math.nan, math.nan, validity=(CHECK,)) < 0.01,
    ]
    texts = [gate_property(verdict, used=True) for verdict in verdicts]
    assert all(json.loads(text, parse_constant=lambda name: pytest.fail(name)) for text in texts)  # strict JSON
    rows = [line.split()[2:] for _, line in gate_table({"t": texts})[1:]]
    assert [row[:5] for row in rows] == [
        ["0.0104", "inf", "<", "0.01", "-inf"],
        ["0.010004", "0.010002", "<", "0.01", "-0.000002"],
        ["nan", "nan", "<", "0.01", "nan"],
    ]
