"""What share of a model's weights is really quantized, read from the file rather than believed."""

from robust.models.base import Model


def quantized_coverage(model: Model) -> float | None:
    """Share of weights that are stored in 8 bits or fewer.

    Args:
        model: A model loaded from an ONNX file.

    Returns:
        A share of weight elements in [0, 1], or None where it cannot be read. Biases and scales of quantized
        layers are left out: they stay wide by design.
    """
    if model.framework != "onnx" or model.content is None:
        return None
    from robust.quantization.coverage_onnx import initialiser_coverage

    return initialiser_coverage(model.content())
