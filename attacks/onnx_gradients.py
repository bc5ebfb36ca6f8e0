"""Gradients for an ONNX model, so that gradient attacks apply to the file itself."""

from robust.data.live import as_data
from robust.errors import InvalidInput, MissingExtra
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.metering import remark


def with_gradients(model: object, data: object) -> Model:
    """Give an ONNX model the gradients of its torch conversion.

    ∂f/∂x of the same graph with the same weights, operator by operator; the answers stay onnxruntime's

    The conversion is asked about rows first and refused where it answers otherwise by more than rounding. A quantized
    file, of QDQ pairs or of operators on integers, has the gradient of the dequantized network: it goes straight
    through each rounding and is 0 where a value is clipped (Bengio, Léonard and Courville 2013).

    Args:
        model: Loaded from an `.onnx` file, or what `as_model` takes; one that has gradients is returned as it is.
        data: Rows to compare on, or what `as_data` takes; the first 256 are used.

    Returns:
        The model with gradients. Open meters are told how far the conversion is from the file.

    Raises:
        InvalidInput: If the model is no ONNX file, takes integers, has operators that are not converted (the message
            names the node), or if the conversion answers otherwise.

    >>> from robust.examples.catalogue import example_path
    >>> from robust.data.loading import load_data
    >>> digits = example_path("digits")
    >>> model = with_gradients(digits / "float.onnx", load_data(digits / "test.npz"))
    >>> model.framework, model.gradients is not None
    ('onnx', True)
    """
    model, data = as_model(model), as_data(data)
    if model.gradients is not None:
        return model
    from robust.models.onnx_gradients_torch import converted

    found = converted(model, data.x)
    remark(found.words)
    return found.model


def with_own_gradients(model: Model, data: object, *, wanted: bool) -> Model:
    """An ONNX model with the gradients of its torch conversion, where there are any.

    Args:
        model: Any model.
        data: Rows on which the conversion is compared with the file.
        wanted: Whether an attack was named that needs them.

    Raises:
        InvalidInput: If they are wanted and cannot be had; the reason says why.
    """
    if model.framework != "onnx" or model.gradients is not None:
        return model
    try:
        return with_gradients(model, data)
    except (InvalidInput, MissingExtra) as error:
        if wanted:
            raise InvalidInput(
                f"{model.name} (onnx) gives no gradients, which a gradient attack needs: {error}; hand rows over from "
                "a twin with Transfer(attack, surrogate=…), or use Square or HopSkipJump"
            ) from error
        return model
