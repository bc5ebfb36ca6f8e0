"""An onnxruntime session, run on exactly the rows that it is given."""

from time import perf_counter

import numpy as np

from robust.data.schema import FeatureSchema
from robust.fuzzing.batch_forms import LAYOUTS
from robust.fuzzing.deadly_batch_onnx import EmptyBatch
from robust.fuzzing.subject import REFUSALS, Asked, Subject
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.base import Model
from robust.tensors.quantizing import dequantize
from robust.types import AnyArray


def onnx_subject(model: Model, adapter: object, schema: FeatureSchema) -> Subject | None:
    """The session behind a model; None where there is none.

    Args:
        model: The model.
        adapter: What its `forward` belongs to.
        schema: Of the rows.
    """
    if not isinstance(adapter, OnnxAdapter):
        return None

    wanted, row = adapter.dtype, adapter.shape[1:]

    def native(rows: AnyArray) -> AnyArray:
        return np.ascontiguousarray(rows) if rows.dtype == wanted and rows.shape[1:] == row else adapter.cast(rows)

    def ask(rows: AnyArray) -> Asked:
        start = perf_counter()
        (outputs,) = adapter.session.run([adapter.output], {adapter.input: rows})
        seconds = perf_counter() - start
        if adapter.zipped:
            labels = sorted(outputs[0]) if outputs else []
            outputs = [[row[label] for label in labels] for row in outputs]
        if adapter.quantization is not None:
            outputs = dequantize(np.asarray(outputs), adapter.quantization)
        return Asked(outputs=outputs, seconds=seconds)

    return Subject(
        model=model,
        native=native,
        ask=ask,
        own=str(adapter.dtype),
        typed=True,
        refusals=(*REFUSALS, RuntimeError),
        layouts=frozenset(LAYOUTS),
        exact=True,
        labelled=np.zeros(schema.width, dtype=bool),
        before=EmptyBatch(model=model, adapter=adapter),
    )
