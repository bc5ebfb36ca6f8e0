"""Factories: the user's own code, which may raise anything, and where it is looked for."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robust.errors import InvalidInput
from robust.models.factories import build_module
from robust.models.loading import load_model


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a module that can be imported, under a name of the test's own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text):
        name = f"own_code_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return f"{name}:build"

    return write


RAISING = {
    "on import": "raise {}",
    "when called": "def build():\n    raise {}",
    "when looked up": "def __getattr__(name):\n    raise {}",
}


@pytest.mark.parametrize("where", RAISING)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("SystemExit(0)", "SystemExit: 0"),
        ("SystemExit", "SystemExit"),
        ("RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("GeneratorExit", "GeneratorExit"),
        ("BaseException('panic')", "BaseException: panic"),
        ("ModuleNotFoundError('No module named other', name='other')", "ModuleNotFoundError: No module named other"),
    ],
)
def test_whatever_a_factory_raises_names_the_factory(write, where, error, said):
    factory = write(RAISING[where].format(error))
    with pytest.raises(InvalidInput, match=f"factory '{factory}' raised {said}; it must be importable, and return"):
        build_module(factory)


@pytest.mark.parametrize("where", RAISING)
def test_an_interrupt_passes(write, where):
    with pytest.raises(KeyboardInterrupt):
        build_module(write(RAISING[where].format("KeyboardInterrupt")))


def test_what_the_package_itself_refuses_stays_as_it_is(write):
    factory = write("from robust.errors import MissingExtra\ndef build():\n    raise MissingExtra('it', 'shap')")
    with pytest.raises(ImportError, match="it needs an optional dependency"):
        build_module(factory)


def test_a_missing_module_says_where_was_looked(monkeypatch):
    monkeypatch.setattr(sys, "path", ["", *sys.path, "/the/last/one"])
    with pytest.raises(
        InvalidInput,
        match=r"no module 'my_lost_net' on Python's import path \(the current folder, .*, /the/last/one\); "
        r"put its folder on sys.path or PYTHONPATH \(the robust command looks in the config's folder, or the current",
    ):
        build_module("my_lost_net:build")


def test_a_module_of_pythons_own_that_stands_in_for_the_users_is_named():
    with pytest.raises(InvalidInput, match=r"module 'code' \(.*code\.py\) has no 'build'; where that is not your file"):
        build_module("code:build")
    with pytest.raises(InvalidInput, match=r"module 'sys' \(built into Python\) has no 'build'"):
        build_module("sys:build")


@pytest.mark.parametrize("method", ["state_dict", "load_state_dict"])
@pytest.mark.parametrize("error", ["SystemExit", "RuntimeError", "BaseException", "KeyboardInterrupt"])
def test_a_module_that_raises_when_it_takes_its_weights(write, tmp_path, method, error):
    factory = write(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        f"    def {method}(self, *arguments, **named):\n"
        f"        raise {error}(5)\n"
        "def build():\n"
        "    return Net(2, 2)\n"
    )
    for suffix in (".safetensors", ".pt"):
        path = tmp_path / f"net{suffix}"
        weights = nn.Linear(2, 2).state_dict()
        save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
        expected, message = InvalidInput, rf"net{suffix} cannot be read as weights of '{factory}' \({error}: 5\)"
        if error == "KeyboardInterrupt":
            expected, message = KeyboardInterrupt, "5"
        with pytest.raises(expected, match=message):
            load_model(path, factory=factory)
