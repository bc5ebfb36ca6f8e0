"""Loads `.skops` files whose every type is on a fixed list."""

from pathlib import Path
from typing import Any

from robust.errors import InvalidInput
from robust.models.archives import checked_members
from robust.models.file_errors import reading, untrusted
from robust.models.tree_nodes import TREE, check_stored_trees, check_trees

_KERNELS = (
    "CompoundKernel ConstantKernel DotProduct Exponentiation ExpSineSquared Hyperparameter Matern "
    "PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
)
# skops itself trusts scikit-learn's estimators, numpy's types and ufuncs, and scipy's special functions.
# Added are classes in plain Python of scikit-learn and numpy that hold numbers, import nothing, and run
# nothing when they are restored. Trees are compiled code that follows indices without looking: they are
# checked (tree_nodes.py). Not here, though asked for: nearest-neighbour trees and histogram boosting
# (compiled code behind indices that nothing checks), and splines (they name a function).
ALLOWED_TYPES = frozenset(
    {
        TREE,
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
    }
    | {f"sklearn.gaussian_process.kernels.{kernel}" for kernel in _KERNELS.split()}
)


def load_skops(content: bytes, path: Path, *, trust: bool) -> Any:
    """The estimator in a `.skops` file.

    Args:
        content: The file's bytes.
        path: Where they came from, for messages.
        trust: Somebody vouched for the file: any type is loaded.

    Raises:
        UntrustedFile: If it names a type that is not on the list, or holds a tree that points outside itself.
        InvalidInput: If it is damaged or exceeds the limits.
    """
    import skops.io

    checked_members(content, path)
    with reading(path, "a .skops file", remedy="copy or save it again with skops.io.dump"):
        asked = skops.io.get_untrusted_types(data=content)
        strange = sorted(set(asked) - ALLOWED_TYPES)
        if strange and not trust:
            shown = ", ".join(strange[:3]) + (", …" if len(strange) > 3 else "")
            raise untrusted(path, f"asks for types that are not known to be harmless ({shown}), and types can run code")
        if trust:
            return skops.io.loads(content, trusted=asked)
        try:
            if TREE in asked:
                check_stored_trees(content)
            estimator = skops.io.loads(content, trusted=sorted(ALLOWED_TYPES))
            if TREE in asked:
                check_trees(estimator)
        except InvalidInput as error:
            raise untrusted(path, f"has decision trees that cannot be checked: {error}") from error
        return estimator
