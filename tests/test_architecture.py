"""The shape of the code: layers, where frameworks may be imported, sizes, packages in the wheel."""

import ast
import configparser
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WINGS = ("attacks", "sensitivity", "residuals", "baselines")
FRAMEWORKS = {
    "torch",
    "torchao",
    "torchvision",
    "safetensors",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "captum",
    "foolbox",
    "shap",
    "ray",
}
#: Slow to import: never at the top of what `import robust` or `robust --help` touches.
SLOW = {"numpy", "scipy", "sklearn", "statsmodels", "pandas", "altair", "pyarrow", "torch", "onnxruntime"}


def sources():
    """Module name to file, with the wings where they are installed."""
    found = {}
    for folder in ("robust", *WINGS):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts if folder == "robust" else ("robust", *parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = sources()


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(module):
    """Every module that one imports, anywhere in it; `from package import module` counts as the module."""
    found = set()
    for node in ast.walk(tree(SOURCES[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, in line {node.lineno}"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in SOURCES else node.module)
    return frozenset(found)


def linter():
    """Layers, low to high, and the exceptions, from the file that the linter reads too."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    contract = parser["importlinter:contract:layers"]
    layers = [[name.strip() for name in line.split("|")] for line in contract["layers"].split("\n") if line.strip()]
    ignored = {
        tuple(map(str.strip, line.split("->"))) for line in contract["ignore_imports"].split("\n") if "->" in line
    }
    return layers[::-1], ignored


LAYERS, IGNORED = linter()


def layer_of(module):
    for height, names in enumerate(LAYERS):
        for name in names:
            if module == name or module.startswith(f"{name}."):
                return height, name
    return None


def test_sources_are_found():
    assert {"robust", "robust.cli", "robust.attacks.pgd", "robust.baselines.skill"} <= set(SOURCES)
    assert len(SOURCES) > 100


# `python -m robust` is the command itself, and nothing imports it.
@pytest.mark.parametrize("module", [name for name in SOURCES if name not in ("robust", "robust.__main__")])
def test_every_module_has_a_layer_and_imports_go_down(module):
    own = layer_of(module)
    assert own is not None, f"{module} belongs to no layer of .importlinter"
    for other in imports(module):
        if not other.startswith("robust.") or (module, other) in IGNORED:
            continue
        height, package = layer_of(other)
        if package == own[1]:
            continue
        assert height < own[0], f"{module} ({own[1]}) imports {other} ({package}), which is no layer below"


def test_the_wings_are_siblings():
    names = {f"robust.{wing}" for wing in WINGS} | {"robust.quantization"}
    (row,) = (row for row in LAYERS if names & set(row))
    assert names <= set(row)


def test_the_exceptions_are_real():
    for module, other in IGNORED:
        assert other in imports(module), f"{module} no longer imports {other}"


@pytest.mark.parametrize("module", SOURCES)
def test_imports_inside_the_package(module):
    for other in imports(module):
        top = other.partition(".")[0]
        assert top not in WINGS, f"{module} imports the bare {top}: a second copy of the module"
        # From the leaf, never from a facade: that would import half the package, or run in a circle.
        assert other != "robust" or module in ("robust.cli", "robust.auditing.running", "robust.auditing.keeping"), (
            module
        )
        if top in FRAMEWORKS:
            at_home = module.startswith("robust.models.") or module.endswith(("_torch", "_onnx"))
            assert at_home, f"{module} imports {other}: only robust.models and modules *_torch, *_onnx do"


def test_what_is_taken_from_the_facade_is_the_version_alone():
    for module in SOURCES:
        for node in ast.walk(tree(SOURCES[module])):
            if isinstance(node, ast.ImportFrom) and node.module == "robust":
                assert [alias.name for alias in node.names] == ["__version__"], module


@pytest.mark.parametrize("module", SOURCES)
def test_files_are_short(module):
    lines = len(SOURCES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= 300, f"{SOURCES[module].relative_to(ROOT)} has {lines} lines: past 300 it is two ideas"


@pytest.mark.parametrize("module", SOURCES)
def test_no_assert_no_bare_except_no_print(module):
    for node in ast.walk(tree(SOURCES[module])):
        assert not isinstance(node, ast.Assert), f"assert in line {node.lineno}"
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"bare except in line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert module.startswith("robust.examples.train_"), f"print in line {node.lineno}: the command line prints"


def test_no_global_random_generator():
    banned = re.compile(
        r"np\.random\.(?!Generator|Philox|default_rng|RandomState|SeedSequence)\w+\(|torch\.manual_seed|random\.seed"
    )
    # Attacks of other libraries draw from the global ones, which are seeded for them and put back.
    lent = "robust.attacks.foreign"
    for module, path in SOURCES.items():
        if not module.startswith(("robust.examples.train_", lent)):
            assert not banned.search(path.read_text(encoding="utf-8")), module


def test_every_package_is_in_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
    assert set(project["packages"]) == packages
    for wing in WINGS:
        assert project["package-dir"][f"robust.{wing}"] == wing
    folders = {f".{path.parent.relative_to(ROOT)}".replace("/", ".") for path in SOURCES.values()}
    assert folders == {f".{SOURCES[name].parent.relative_to(ROOT)}".replace("/", ".") for name in packages}


def test_data_files_of_packages_are_in_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package, patterns in project["package-data"].items():
        folder = SOURCES[package].parent
        matched = {path for pattern in patterns for path in folder.glob(pattern)}
        for pattern in patterns:
            assert any(folder.glob(pattern)), f"{package}: nothing matches {pattern}"
        others = {
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
        }
        own = {
            path
            for path in others
            if not any(
                p != package and SOURCES[p].parent in path.parents
                for p in SOURCES
                if p.startswith(f"{package}.") and SOURCES[p].name == "__init__.py"
            )
        }
        assert own <= matched, f"{package} would lose {sorted(own - matched)}"


# --- fresh interpreters ---------------------------------------------------------------------------------------


def fresh(code, *flags):
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COVERAGE_PROCESS_START")
    }
    done = subprocess.run(
        [sys.executable, "-P", *flags, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=ROOT.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


LOADED = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


@pytest.mark.parametrize(
    "statement",
    ["import robust", "import robust.pytest_plugin", "import robust.cli", "import robust.attacks, robust.baselines"],
)
def test_importing_the_package_loads_nothing_heavy(statement):
    loaded = set(fresh(f"{statement}; {LOADED}"))
    assert "robust" in loaded
    assert not loaded & (SLOW | FRAMEWORKS)


def test_help_loads_nothing_heavy():
    run = "import sys; sys.argv = ['robust', '--help']\nfrom robust.cli import main\n"
    code = f"{run}try:\n    main()\nexcept SystemExit: pass\n{LOADED}"
    assert not set(fresh(code)) & (SLOW | FRAMEWORKS | {"rich", "msgspec"})


def test_measuring_with_numpy_alone_loads_no_framework():
    code = (
        "import numpy as np\nfrom robust import accuracy, degradation, percent\n"
        "x, y = np.arange(40.0)[:, None], np.arange(40) % 2\n"
        "m = lambda x: (x[:, 0] % 2).astype(int)\n"
        "accuracy(m, (x, y)) > 0.5; degradation(m, m, (x, y)) < percent(1)\n" + LOADED
    )
    assert not set(fresh(code)) & (FRAMEWORKS | {"pandas", "altair", "pyarrow", "statsmodels"})


IMPORT_EACH = """
import os, sys
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            __import__(name)
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}".replace(" ", "_"), flush=True)
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
"""


def import_each(names):
    """Import modules, each in a process of its own, forked from one that has loaded what all take from elsewhere."""
    heavy = "import numpy, scipy.stats, sklearn.linear_model, pandas, torch, onnx, onnxruntime\nimport sys\n"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", f"{heavy}sys.argv[1:] = {names!r}{IMPORT_EACH}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=ROOT.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


ALL = [name for name in SOURCES if "__main__" not in name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_modules_can_be_imported_first():
    facades = [name for name in ALL if SOURCES[name].name == "__init__.py"]
    assert import_each(facades + ALL[::7]) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_each_module_can_be_imported_first():
    assert import_each(ALL) == []
