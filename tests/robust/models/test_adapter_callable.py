import numpy as np
import pytest

from robust import ModelFault, accuracy, as_model

ROWS = (np.zeros((4, 1)), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "outputs", [np.array(["a", "b", "a", "b"]), np.array(["a", "b", "a", "b"], dtype=object)], ids=["text", "object"]
)
def test_text_labels_are_refused_with_what_to_give_instead(outputs):
    with pytest.raises(ModelFault, match=r"the outputs are text: give class indices or probabilities.*classes="):
        accuracy(as_model(lambda x: outputs[: len(x)]), ROWS)


def test_lists_and_integers_become_float64():
    model = as_model(lambda x: [0, 1, 0, 1][: len(x)])
    assert model.forward(ROWS[0]).dtype == np.float64
    assert accuracy(model, ROWS).value == 1.0
