"""Names for the types that several layers share."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

AnyArray: TypeAlias = NDArray[Any]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]

#: `classification`: one class a row; `multilabel`: each of several labels is true of a row or not.
Task: TypeAlias = Literal["classification", "regression", "multilabel"]
#: What an audit judges a model as: its task, or an anomaly detector, whatever it gives.
Purpose: TypeAlias = Literal["classification", "regression", "multilabel", "anomaly"]
Output: TypeAlias = Literal["probabilities", "logits", "values"]
Norm: TypeAlias = Literal["linf", "l2", "l1"]
