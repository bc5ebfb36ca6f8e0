"""What every model is to the rest of the package: a function of one batch, and what it can do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from robust.errors import InvalidInput
from robust.models.calibrated import Calibrated
from robust.models.layer_bits import HeldBits
from robust.types import AnyArray, FloatArray, Output, Task

Label: TypeAlias = int | str


class Gradients(Protocol):
    """Capability: derivatives of the outputs with respect to the input, asked for once at the edge."""

    def __call__(self, x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        """One forward and one backward pass.

        Args:
            x: One batch of inputs (b, *row shape).
            cotangent: From the outputs (b, k), float64, to ∂loss/∂outputs (b, k): the loss lives in numpy, so
                that one loss serves every framework.

        Returns:
            Outputs (b, k) and the gradient of the loss with respect to x, (b, *row shape), both float64.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model of any framework.

    Args:
        name: Shown in reports: a file name or a class name.
        framework: `torch`, `sklearn`, `onnx` or `callable`.
        forward: One batch (b, *row shape) to outputs (b,) or (b, k), called with a private, writable copy.
        task: `classification` or `regression`; None where only the data can tell.
        output: What the outputs are: `probabilities`, `logits`, `values`; None where only they can tell.
        classes: Labels behind the outputs' columns; None means 0 … k−1.
        batch_size: Rows a call at most.
        fixed_batch: Rows a call exactly, for files with a fixed batch size; the last batch is padded.
        columns: Column names, where the model wants a DataFrame.
        gradients: The gradient capability, or None.
        identity: Content hash of the model as it is now, or None where it cannot be known (a plain callable:
            two closures share their bytecode); without it nothing is cached.
        weights: Content hash of the weights alone, or None where it cannot be known.
        content: The bytes of the model file, for analyses that read how weights are stored; None where there is none.
        held: What a simulated build would hold, or None where the model is what it is.
        calibrated: The rows that its ranges were taken from, where it was built here; None elsewhere, also for a file.
    """

    name: str
    framework: str
    forward: Callable[[AnyArray], AnyArray]
    task: Task | None = None
    output: Output | None = None
    classes: tuple[Label, ...] | None = None
    batch_size: int = 256
    fixed_batch: int | None = None
    columns: tuple[str, ...] | None = None
    gradients: Gradients | None = None
    identity: Callable[[], str | None] = lambda: None
    weights: Callable[[], str | None] = lambda: None
    content: Callable[[], bytes] | None = None
    held: HeldBits | None = None
    calibrated: Calibrated | None = None

    def __post_init__(self) -> None:
        """Refuse options that no model can have."""
        if self.batch_size < 1:
            raise InvalidInput(f"batch_size must be at least 1, got {self.batch_size}")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise InvalidInput(f"classes must differ from each other, got {list(self.classes)}")
        if self.task == "regression" and self.output in ("probabilities", "logits"):
            raise InvalidInput(f"a regression model has output 'values', got {self.output!r}")

    def __repr__(self) -> str:
        known = ", ".join(str(part) for part in (self.framework, self.task, self.output) if part)
        return f"Model({self.name!r}, {known})"


def adapter_of(model: Model) -> Any:
    """What a model's `forward` belongs to, for analyses that look inside: an adapter of its framework, or None.

    A model that loads itself when it is first called hands on the adapter of the one that it loads.
    """
    owner = getattr(model.forward, "__self__", None)
    return getattr(owner, "adapter", owner)


def require_gradients(model: Model) -> Gradients:
    """The gradient capability of a model.

    Raises:
        InvalidInput: If it has none; the message says what can be used instead.
    """
    if model.gradients is None:
        raise InvalidInput(
            f"{model.name} ({model.framework}) gives no gradients, which a gradient attack needs: take a torch model, "
            "a linear one or a perceptron of scikit-learn, hand rows over with Transfer(attack, surrogate=…), or use "
            "RandomNoise"
        )
    return model.gradients
