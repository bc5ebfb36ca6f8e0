"""The names that users rely on: each is there, callable, and shadowed by no module."""

import inspect
import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import robust

NAMES = {
    "robust": {
        "load_model",
        "as_model",
        "load_data",
        "as_data",
        "percent",
        "Measurement",
        "Verdict",
        "InvalidInput",
        "accuracy",
        "f1",
        "auc",
        "log_loss",
        "rmse",
        "mae",
        "r2",
        "degradation",
        "precision",
        "recall",
        "brier",
        "calibration_error",
        "average_precision",
        "mse",
        "median_absolute_error",
        "max_error",
        "explained_variance",
        "mape",
        "smape",
        "agreement",
        "cost",
        "latency",
        "KiB",
        "MiB",
        "choose_threshold",
        "best_f1",
        "anomaly_detection",
        "error_groups",
        "label_errors",
        "nearest_training_rows",
        "save_error_samples",
        "fuzz",
    },
    "robust.attacks": {
        *("RandomNoise", "FGSM", "BIM", "PGD", "APGD", "DDN", "FMN", "DeepFool", "Square", "RandomSearch"),
        *("HopSkipJump", "Boundary", "TreeAttack", "LinearExact", "Transfer"),
        *("robust_accuracy", "robustness_curve", "minimal_perturbation", "fuzz", "with_gradients"),
    },
    "robust.certified": {"certified_accuracy", "smoothed_accuracy", "bracket"},
    "robust.fuzzing": {"fuzz", "replay", "rows", "batches"},
    "robust.sensitivity": {"partial_dependence", "flip_rate"},
    "robust.residuals": {"residual_autocorrelation", "unused_feature_correlation"},
    "robust.baselines": {"gain"},
}
#: As the design writes them: positional names, then keyword-only ones.
SIGNATURES = {
    "robust.degradation": (
        ["reference", "candidate", "data"],
        {"metric": "accuracy", "quantized": None, "relative": None, "level": 0.95, "seed": 0},
    ),
    "robust.as_data": (
        ["x", "y"],
        {"names": None, "schema": None, "unused": None, "slices": None, "order": None, "groups": None, "ids": None},
    ),
    "robust.as_model": (["obj"], {"task": None, "classes": None, "output": None}),
    "robust.load_model": (["path"], {"task": None, "classes": None, "output": None, "trust": False}),
    "robust.load_data": (["path"], {"target": None, "schema": None, "order": None, "groups": None}),
    "robust.percent": (["share"], {}),
    "robust.baselines.gain": (["model", "train", "test"], {"over": "linear"}),
    "robust.attacks.robust_accuracy": (
        ["model", "data"],
        {"attack": None, "eps": None, "norm": "linf", "strength": "standard", "seed": 0},
    ),
    "robust.attacks.minimal_perturbation": (["model", "data"], {"norm": "l2", "seed": 0}),
    "robust.residuals.residual_autocorrelation": (["model", "data"], {}),
    "robust.residuals.unused_feature_correlation": (["model", "data"], {}),
    **{
        f"robust.{name}": (["model", "data"], {"level": 0.95, "seed": 0})
        for name in ("accuracy", "f1", "auc", "log_loss", "rmse", "mae", "r2")
    },
}

CONSTANTS = {"KiB", "MiB"}


def lookup(path):
    package, _, name = path.rpartition(".")
    return getattr(import_module(package), name)


def modules():
    found = ["robust"]
    # An editable install does not list the mapped packages beside the others.
    for package in NAMES:
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                found.append(module.name)
    return [*NAMES, *sorted(set(found) - set(NAMES))]


@pytest.mark.parametrize("package", NAMES)
def test_the_facade_offers_what_was_promised(package):
    facade = import_module(package)
    assert NAMES[package] <= set(facade.__all__)
    assert set(facade.__all__) <= set(dir(facade))
    assert len(set(facade.__all__)) == len(facade.__all__)
    for name in facade.__all__:
        assert callable(getattr(facade, name)) or name in CONSTANTS, name
        assert getattr(facade, name) is getattr(facade, name)


@pytest.mark.parametrize("package", NAMES)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        _ = import_module(package).nonsense


def test_names_stay_callable_when_every_module_has_been_imported():
    # Under a lazy facade, a module of a function's name would take its place on the second access.
    code = (
        "import sys\nfrom importlib import import_module\n"
        f"for name in {modules()!r}: import_module(name)\n"
        f"for package, names in { ({p: sorted(n) for p, n in NAMES.items()})!r}.items():\n"
        "    for name in names:\n"
        "        for _ in range(2):\n"
        "            found = getattr(sys.modules[package], name)\n"
        "            assert callable(found) or isinstance(found, int), (package, name)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_no_module_shares_a_public_name():
    public = set().union(*(set(import_module(package).__all__) for package in NAMES))
    for module in modules():
        assert module.rpartition(".")[2] not in public, module


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures(path):
    positional, keywords = SIGNATURES[path]
    parameters = inspect.signature(lookup(path)).parameters
    kinds = {name: p.kind for name, p in parameters.items()}
    assert [name for name, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD] == positional
    for name, default in keywords.items():
        assert kinds[name] is inspect.Parameter.KEYWORD_ONLY, name
        assert parameters[name].default == default, name
    assert inspect.Parameter.VAR_KEYWORD not in kinds.values()


@pytest.mark.parametrize(
    "path", [f"{package}.{name}" for package in NAMES for name in sorted(import_module(package).__all__)]
)
def test_every_public_name_is_documented(path):
    thing = lookup(path)
    if path.rpartition(".")[2] in CONSTANTS:
        return
    document = inspect.getdoc(thing)
    assert document, path
    assert document.splitlines()[0].endswith("."), path
    if inspect.isfunction(thing):
        for part in ("Args:", "Returns:"):
            assert part in document, f"{path} lacks {part}"
        for name in inspect.signature(thing).parameters:
            assert re.search(rf"^\s+{name}:", document, re.MULTILINE), f"{path} does not explain {name}"


def test_errors_are_what_users_catch():
    from robust.errors import MissingExtra, RobustError

    assert issubclass(robust.InvalidInput, ValueError)
    assert issubclass(robust.InvalidInput, RobustError)
    assert issubclass(MissingExtra, ImportError)
    assert issubclass(robust.ModelFault, RobustError)
    assert not issubclass(robust.ModelFault, ValueError)  # the model is at fault, not the caller's value


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert robust.__version__ == version("robust-gates")


def test_the_package_says_that_it_is_typed():
    assert (Path(robust.__file__).parent / "py.typed").is_file()
