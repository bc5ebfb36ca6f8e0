"""Finds the checks: every module of the known packages that ends with `CHECKS`."""

import difflib
import pkgutil
from importlib import import_module

from robust.check import Check
from robust.errors import InvalidInput, RobustError

#: Packages that are searched. A new check needs no entry here, a new family does.
_PACKAGES = (
    "robust.measures",
    "robust.mistakes",
    "robust.operating",
    "robust.anomalies",
    "robust.costing",
    "robust.quantization",
    "robust.layers",
    "robust.bitwidths",
    "robust.quantizers",
    "robust.crosscheck",
    "robust.attacks",
    "robust.certified",
    "robust.fuzzing",
    "robust.sensitivity",
    "robust.residuals",
    "robust.baselines",
)
#: What a family's code stands for, in the order of a report.
FAMILIES = {
    "MET": "metrics",
    "QNT": "comparison with the reference",
    "ATK": "attacks",
    "SEN": "sensitivity",
    "RES": "residuals",
    "BAS": "baselines",
}


def discover() -> tuple[Check, ...]:
    """All checks, by family and number.

    Returns:
        The catalogue.

    Raises:
        RobustError: If two checks share a code or a name.
    """
    found: list[Check] = []
    for package in _PACKAGES:
        for module in pkgutil.iter_modules(import_module(package).__path__):
            # Modules of one framework hold no checks, and their framework may not be installed.
            if not module.name.endswith(("_torch", "_onnx")):
                found += getattr(import_module(f"{package}.{module.name}"), "CHECKS", ())
    for attribute in ("code", "name"):
        keys = [getattr(check, attribute) for check in found]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise RobustError(f"two checks share the {attribute} {twice}")
    order = list(FAMILIES)
    return tuple(sorted(found, key=lambda check: (order.index(check.code[:3]), check.code)))


def find_check(checks: tuple[Check, ...], key: str) -> Check:
    """The check of a code or a name.

    Raises:
        InvalidInput: If there is none; the message names the nearest.
    """
    for check in checks:
        if key.upper() == check.code or key == check.name:
            return check
    names = [name for check in checks for name in (check.code, check.name)]
    near = difflib.get_close_matches(key, names, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    known = ", ".join(f"{check.code} {check.name}" for check in checks)
    raise InvalidInput(f"no check is called {key!r}{hint} The checks are {known}")
