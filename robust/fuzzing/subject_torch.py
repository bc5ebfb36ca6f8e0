"""A torch module, called on exactly the rows that it is given."""

from functools import partial
from time import perf_counter

import numpy as np
import torch

from robust.data.schema import FeatureSchema
from robust.fuzzing.batch_forms import Layout
from robust.fuzzing.subject import REFUSALS, Asked, Subject
from robust.models.adapter_torch import TorchAdapter, evaluating, evaluating_throughout, placement
from robust.models.base import Model
from robust.types import AnyArray

#: numpy's memory that torch can share: none that runs backwards or cannot be written to.
_LAYOUTS: frozenset[Layout] = frozenset({"rows", "fortran", "strided", "gapped"})


def torch_subject(model: Model, adapter: object, schema: FeatureSchema) -> Subject | None:
    """The module behind a model; None where it is an exported program, whose batches must have certain sizes.

    Args:
        model: The model.
        adapter: What its `forward` belongs to.
        schema: Of the rows.
    """
    if not isinstance(adapter, TorchAdapter) or isinstance(adapter.module, torch.fx.GraphModule):
        return None
    module = adapter.module
    device, precision = placement(module)
    # numpy has no type for half of the floats that torch has.
    narrow = precision == torch.bfloat16
    own = "int64" if adapter.integer else "float32" if narrow else str(precision).removeprefix("torch.")

    def native(rows: AnyArray) -> AnyArray:
        return np.ascontiguousarray(rows, dtype=own)

    def ask(rows: AnyArray) -> Asked:
        with torch.inference_mode(False), torch.no_grad(), evaluating(module):
            start = perf_counter()
            batch = torch.from_numpy(rows).to(device)
            if narrow and batch.dtype == torch.float32:
                batch = batch.to(precision)
            version = batch._version
            found = module(batch)
            outputs = found
            if isinstance(found, torch.Tensor) and not found.is_complex():
                outputs = found.detach().to(device="cpu", dtype=torch.float64).numpy()
            seconds = perf_counter() - start
            # Memory that is not shared shows no writes, but torch counts them.
            changed = batch._version != version
        return Asked(outputs=outputs, seconds=seconds, changed=changed)

    return Subject(
        model=model,
        native=native,
        ask=ask,
        own=own,
        typed=True,
        refusals=(*REFUSALS, RuntimeError, *((IndexError,) if adapter.integer else ())),
        layouts=_LAYOUTS,
        exact=True,
        labelled=np.zeros(schema.width, dtype=bool),
        during=partial(evaluating_throughout, module),
    )
