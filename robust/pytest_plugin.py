"""The pytest plugin: explains failed gates, fails tests that used an unsettled one, and lists all at the end.

Every pytest run of an environment loads this module, so nothing that is slow to import stands here; what
formats is loaded with the first verdict. Verdicts are heard of through `robust.observing`, whatever form an
assertion has.
"""

from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from robust.observing import Record, observed

if TYPE_CHECKING:
    from robust.observing import Event
    from robust.verdict import Verdict

ALLOWED = "robust_allow_inconclusive"
PROPERTY = "robust_gate"
SECTION = "robustness evidence"
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def pytest_addoption(parser: pytest.Parser) -> None:
    """One switch: strict readers of JUnit files refuse properties of a test."""
    parser.addini("robust_junit_properties", "write each gate as a JUnit property of its test", "bool", True)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, read the project's `decide`, and start to listen."""
    config.addinivalue_line(
        "markers", f"{ALLOWED}: the test may pass though an unsettled comparison was used as a truth value"
    )
    _configure_decide(config)
    config.pluginmanager.register(Gates(config), "robust-gates")


def _configure_decide(config: pytest.Config) -> None:
    """Let the project say what settles a comparison: `decide` in robust.toml, or in pyproject.toml."""
    for name, keys in (("robust.toml", "decide"), ("pyproject.toml", "tool.robust.decide")):
        try:
            content = (config.rootpath / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise pytest.UsageError(f"{name} cannot be read: {error}") from error
        if b"decide" not in content:  # spares an unrelated run the parser
            continue
        import tomllib

        try:
            found: object = tomllib.loads(content.decode())
        except ValueError as error:
            raise pytest.UsageError(f"{name} is not valid TOML: {error}") from error
        for key in keys.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            continue
        if found != "bound" and found != "value":
            raise pytest.UsageError(f'{name}: decide must be "bound" or "value", got {found!r}')
        from robust.verdict import decide_by

        config.add_cleanup(partial(decide_by.reset, decide_by.set("value" if found == "value" else "bound")))
        return


class Gates:
    """The hooks that need the verdicts of the test at hand."""

    def __init__(self, config: pytest.Config) -> None:
        self._root = config.rootpath
        # A worker process must send the properties on; the controller, or the only process, may drop them.
        self._drop = not config.getini("robust_junit_properties") and not hasattr(config, "workerinput")
        self._record: Record | None = None
        self._properties: dict[str, list[str]] = {}
        listening = ExitStack()
        listening.enter_context(observed(self._hear))
        config.add_cleanup(listening.close)

    def _hear(self, event: "Event", verdict: "Verdict") -> None:
        record = self._record
        if record is not None:
            record.hear(event, verdict)

    def _complaint(self, record: Record, node: pytest.Item | pytest.Collector, *, passed: bool) -> str | None:
        """Why what passed must fail, if it must; each use is judged once."""
        uses, record.unsettled = record.unsettled, []
        if not passed or not uses or node.get_closest_marker(ALLOWED) is not None:
            return None
        from robust.report.assertion import unsettled_text

        return unsettled_text([(use.verdict, use.place(self._root)) for use in uses])

    def _texts(self, record: Record) -> list[str]:
        """The gates as they travel with the test: text, so that worker processes and JUnit can carry it."""
        from robust.report.gate_table import gate_property, omitted_property

        gates = list(record.gates.items())
        texts = [gate_property(verdict, used=key in record.used) for key, verdict in gates]
        return [*texts, omitted_property(len(record.omitted))] if record.omitted else texts

    # --- a test, phase by phase -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Start a new record: here, since a plugin may run one item several times."""
        self._record = Record()
        item.user_properties[:] = [pair for pair in item.user_properties if pair[0] != PROPERTY]
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Know a report on a subtest, made during the call, from the report on the call."""
        record = self._record
        if record is None:
            return (yield)
        record.calling = True
        try:
            return (yield)
        finally:
            record.calling = False

    @pytest.hookimpl(specname="pytest_runtest_makereport")
    def pytest_explain_bare_assertion(self, call: pytest.CallInfo[None]) -> None:
        """Give an assertion that pytest did not rewrite the words it lacks, before its report is written.

        An ordinary implementation and not a part of the wrapper: unittest's own sets the exception first.
        """
        error = call.excinfo.value if call.excinfo is not None else None
        record = self._record
        if record is None or type(error) is not AssertionError:
            return
        text = str(error)
        if text and text.partition("\n")[0] != "assert False":
            return
        verdict = record.culprit(error, text)
        if verdict is not None:
            from robust.report.assertion import assertion_lines

            kept = [] if text in ("", "assert False") else [text]
            error.args = ("\n".join([*assertion_lines(verdict), *kept]),)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach gates and evidence; fail what passed on an unsettled verdict. Outermost, so after xfail."""
        record = self._record
        if record is None or not record.gates:
            return (yield)
        kept = [pair for pair in item.user_properties if pair[0] != PROPERTY]
        item.user_properties[:] = kept + [(PROPERTY, text) for text in self._texts(record)]
        report = yield
        if call.when == "call" or len(record.gates) > record.explained:
            record.explained = len(record.gates)
            report.sections.append((SECTION, _evidence(record)))
        if record.calling:  # a subtest; the report on the whole call judges
            return report
        complaint = self._complaint(record, item, passed=report.passed)
        if complaint is not None:
            try:
                pytest.fail(complaint, pytrace=False)
            except pytest.fail.Exception:
                call.excinfo = pytest.ExceptionInfo.from_current()
                report.longrepr = call.excinfo.getrepr(style="value")
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Explain a rewritten comparison by the verdict it made; comparing again would record another."""
        record = self._record
        for verdict in reversed(tuple(record.recent) if record is not None else ()):
            m, operator = verdict.measurement, verdict.operator
            if (left is m and op == operator) or (right is m and op == _MIRRORED[operator]):
                from robust.limits import as_limit, is_number
                from robust.report.assertion import assertion_lines

                other = right if left is m else left
                if is_number(other) and as_limit(other) == verdict.limit:
                    return assertion_lines(verdict)
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Refuse a module that used an unsettled verdict: an `if` at its top may have hidden tests."""
        outer, record = self._record, Record()
        self._record = record
        try:
            report = yield
        finally:
            self._record = outer
        complaint = self._complaint(record, collector, passed=report.passed)
        if complaint is not None:
            report.outcome, report.result, report.longrepr = "failed", [], complaint
        return report

    # --- the closing table ----------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the gates of all processes; the last report on a test has all of its gates."""
        gates = [str(text) for name, text in report.user_properties if name == PROPERTY]
        if gates:
            self._properties[report.nodeid] = gates
        if gates and self._drop:
            report.user_properties = [pair for pair in report.user_properties if pair[0] != PROPERTY]

    # Quoted: the oldest pytest that is supported does not export this name.
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """List all gates, passed ones too: a shrinking margin shows before it breaks."""
        if not self._properties:
            return
        from robust.report.gate_table import gate_table

        terminalreporter.section("robustness gates")
        for status, line in gate_table(self._properties):
            unsettled = status in ("INCONCLUSIVE", "INVALID")
            terminalreporter.write_line(line, red=status == "FAIL", yellow=unsettled)


def _evidence(record: Record) -> str:
    """All that the verdicts rest on; a measurement that was compared twice is written down once."""
    from robust.report.assertion import evidence_lines

    text, told = "", set()
    for verdict in list(record.gates.values()):
        lines = evidence_lines(verdict)
        again = id(verdict.measurement) in told
        told.add(id(verdict.measurement))
        text += "\n".join(lines[:2] if again else lines) + "\n"
    return text
