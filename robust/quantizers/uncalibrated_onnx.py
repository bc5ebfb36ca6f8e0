"""Quantization of an ONNX model without calibration rows: ranges from each call, or weights alone."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.onnx_model import ONNXModel

from robust.errors import InvalidInput
from robust.quantizers.quiet import quiet
from robust.quantizers.recipe import Recipe
from robust.quantizers.static_onnx import TYPES

_BITS = {"int4": 4, "uint4": 4, "int8": 8, "uint8": 8}
_BLOCK = 32


def dynamic_model(model: onnx.ModelProto, recipe: Recipe, *, exclude: list[str]) -> onnx.ModelProto:
    """Quantize weights ahead and activations, to uint8, by their range in each call.

    Args:
        model: A prepared float model.
        recipe: How.
        exclude: Names of nodes that stay in float.

    Returns:
        The model with integer operators.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        path, out = Path(folder, "prepared.onnx"), Path(folder, "dynamic.onnx")
        onnx.save(model, path)
        quantize_dynamic(
            path,
            out,
            per_channel=recipe.per_channel,
            reduce_range=recipe.reduce_range,
            weight_type=TYPES[recipe.weight_type],
            nodes_to_exclude=_also_as_products(exclude),
        )
        return onnx.load(out)


def narrow_weights_model(model: onnx.ModelProto, recipe: Recipe, *, exclude: list[str]) -> onnx.ModelProto:
    """Quantize the weights of matrix products in blocks of 32, and nothing else.

    Args:
        model: A prepared float model.
        recipe: How.
        exclude: Names of nodes that stay in float.

    Returns:
        The model with packed weights (`MatMulNBits`).

    Raises:
        InvalidInput: If the installed onnxruntime does not have this quantizer.
    """
    with quiet():  # also the import, which configures the user's logging
        try:
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
        except ImportError as error:
            raise InvalidInput(
                f"method 'weight-only' needs a newer onnxruntime, with a quantizer for it: {error}"
            ) from error
        products = ONNXModel(model)
        products.replace_gemm_with_matmul()
        quantizer = MatMulNBitsQuantizer(
            products.model,
            bits=_BITS[recipe.weight_type],
            block_size=_BLOCK,
            is_symmetric=recipe.weight_type.startswith("int"),
            nodes_to_exclude=_also_as_products(exclude),
        )
        quantizer.process()
        quantizer.model.topological_sort()
    found: onnx.ModelProto = quantizer.model.model
    return found


def _also_as_products(exclude: list[str]) -> list[str]:
    """Names of nodes, also as onnxruntime calls the product that it makes of a `Gemm` first."""
    return [*exclude, *(f"{name}_MatMul" for name in exclude)]
