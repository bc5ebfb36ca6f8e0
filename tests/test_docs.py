"""README and docs: their Python blocks run, every command and check is documented, links lead somewhere."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from robust.auditing.discovery import discover
from robust.auditing.gates import build_gates
from robust.cli import cli
from robust.config import read_config
from robust.examples.catalogue import example_path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Pages that are read from top to bottom; blocks of the README are pasted one by one.
RUNNABLE = [page for page in PAGES if page.parent.name == "docs"]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.robust_allow_inconclusive  # docs show what an unsettled comparison is
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "docs"}
    for code in blocks(page, "python"):
        exec(compile(code, str(page), "exec"), names)
        for name in [name for name in names if name.startswith("test_")]:
            names.pop(name)()


def test_each_block_of_the_readme_runs_when_it_is_pasted_alone(tmp_path):
    for i, code in enumerate(blocks(ROOT / "README.md", "python")):
        path = tmp_path / f"test_block_{i}.py"
        path.write_text(code, encoding="utf-8")
        command = [sys.executable, "-P", *(["-m", "pytest", "-q"] if "def test_" in code else []), str(path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_config_of_the_readme_is_one():
    (code,) = blocks(ROOT / "README.md", "toml")
    config = read_config(tomllib.loads(code), where="README")
    assert [gate.name for gate in build_gates(config.gates, discover())] == ["accuracy", "degradation"]


def test_the_commands_of_the_readme_are_understood():
    lines = [line.partition("#")[0] for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("robust ")]
    assert len(commands) >= 5
    for name, *arguments in commands:
        cli.commands[name].make_context(name, arguments)


def test_compare_ends_as_the_readme_says(tmp_path):
    digits = example_path("digits")
    command = [sys.executable, "-P", "-m", "robust", "compare", digits / "float.onnx", digits / "int8.onnx"]
    done = subprocess.run(
        [*command, "--data", digits / "test.npz"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    (shown,) = blocks(ROOT / "README.md", "text")
    # The last digits hang on the processor.
    told, meant = (re.sub(r"(\d\.\d)\d+e", r"\1e", text) for text in (done.stdout, shown))
    assert (done.returncode, told.splitlines()[-1]) == (1, meant.strip())
    assert "and exit code 1" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_session_prints_what_it_shows():
    import doctest

    names = {}
    exec(blocks(ROOT / "README.md", "python")[0], names)
    for session in blocks(ROOT / "README.md", "pycon"):
        test = doctest.DocTestParser().get_doctest(session, names, "README", None, None)
        assert doctest.DocTestRunner().run(test).failed == 0


def test_every_command_has_help_and_is_documented():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name, command in cli.commands.items():
        assert f"robust {name}" in text
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0
        assert command.help


def test_every_check_is_documented():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    missing = [check.name for check in discover() if f"`{check.name}" not in text]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_exit_codes_are_the_same_everywhere():
    for page in (ROOT / "README.md", ROOT / "docs" / "audit.md"):
        text = page.read_text(encoding="utf-8").replace("\n", " ")
        for code in (
            "0 all gates",
            "1 a gate failed",
            "2 usage",
            "3 internal",
            "4 a gate is inconclusive",
            "130 interrupted",
        ):
            assert code in text
