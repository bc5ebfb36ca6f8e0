"""A torch module as a model: outputs and input gradients in numpy, from any device and precision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from threading import RLock
from typing import TypeVar

import numpy as np
import torch

from robust.errors import InvalidInput, ModelFault, RobustError
from robust.models.base import Model
from robust.models.codes_torch import are_whole, require_whole, takes_codes
from robust.models.contract import CHANGES_INPUT, output_columns
from robust.models.foreign_errors import blamed
from robust.models.module_hash import module_identity, module_weights
from robust.models.options import Options
from robust.models.saturation_torch import unsaturated
from robust.types import AnyArray, FloatArray

# Kernels choose their summation order by the number of rows; at multiples of 32 the bits of a row were the
# same for every batch size, position and thread count that was tried.
BLOCK = 32
# One for all modules, since they may share parts: the mode of each is changed for the length of a call. A thread may
# enter again: a loss, or a module's own code, may call another model.
_MODES = RLock()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TorchAdapter:
    """A module, called in evaluation mode on blocks of whole 32 rows.

    Args:
        module: The module; it stays on its device and in its precision.
        block: Every batch is filled up to a multiple of this many rows by repeating its last one, unless the module
            raises on so many, and not on fewer.
        integer: The module takes whole numbers (token or category codes), so that it has no input gradient; rows that
            are none are handed over as they are, since it may make codes of them by itself.
    """

    module: torch.nn.Module
    block: int = BLOCK
    integer: bool = False

    def forward(self, x: AnyArray) -> FloatArray:
        """Outputs of one batch."""
        # no_grad and not inference_mode, the caller's included: a module that keeps a tensor from this call (a table
        # of positions, say) could not use an inference tensor in a later backward pass; nor do those count versions.
        with torch.inference_mode(False), torch.no_grad(), evaluating(self.module):
            batch, tensor = self._asked(x, lambda batch: self._answer(batch, _twin(batch, x)))
            return output_columns(_numpy(tensor), len(batch))[: len(x)]

    def gradients(self, x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Outputs and input gradient of one batch; parameters collect nothing."""
        rows = len(x)
        with torch.inference_mode(False), torch.enable_grad(), evaluating(self.module):
            # A copy: torch's own refusal to change a leaf names no model.
            leaf, tensor = self._asked(x, lambda leaf: self._answer(leaf.requires_grad_().clone(), leaf.detach()))
            filled = output_columns(_numpy(tensor), len(leaf))
            outputs, flow = filled[:rows], np.zeros(filled.shape)
            flow[:rows] = cotangent(outputs)
            gradient = None
            if tensor.requires_grad:
                unsaturated(tensor)
                weights = torch.from_numpy(flow.reshape(tensor.shape)).to(tensor)
                (gradient,) = torch.autograd.grad(tensor, leaf, weights, allow_unused=True)
        if gradient is None:  # the outputs do not depend on the inputs in a way that autograd sees
            return outputs, np.zeros(x.shape)
        return outputs, _numpy(gradient)[:rows]

    def identity(self) -> str | None:
        """Content hash of parameters, buffers and code as they are now."""
        return module_identity(self.module)

    def weights(self) -> str | None:
        """Content hash of parameters and buffers as they are now."""
        return module_weights(self.module)

    def _asked(self, x: AnyArray, ask: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch, filled up to whole blocks where the module takes them, and the answer to it."""

        def filled(block: int) -> tuple[torch.Tensor, torch.Tensor]:
            batch = self._tensor(x, block)
            return batch, ask(batch)

        return whole_or_bare(filled, rows=len(x), block=self.block)

    def _answer(self, batch: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """The one tensor that a module must return, for a batch that it must leave as it was before."""
        # torch counts the writes to a tensor and to its views, but not those through `.data` or numpy.
        version = batch._version
        try:
            outputs = self.module(batch)
        except RuntimeError:
            # Rows that are no codes are handed over as they are: a module may make codes of them by itself.
            if self.integer and batch.is_floating_point():
                require_whole(batch.numpy(force=True), type(self.module).__name__)
            raise
        if batch._version != version or not _same_bits(batch, before):
            raise ModelFault(CHANGES_INPUT)
        if not isinstance(outputs, torch.Tensor):
            raise InvalidInput(
                f"a module must return one tensor (rows, outputs), this one returned {type(outputs).__name__}: "
                "wrap it in a module or a function that picks the tensor to judge"
            )
        if outputs.is_complex():
            raise ModelFault(f"it gives outputs of type {outputs.dtype}, real numbers are needed")
        return outputs

    def _tensor(self, x: AnyArray, block: int) -> torch.Tensor:
        """A batch on the module's device, in its precision, filled up to whole blocks."""
        missing = -len(x) % block if len(x) else 0
        filled = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else np.array(x, order="C")
        device, dtype = placement(self.module)
        return torch.from_numpy(filled).to(device=device, dtype=torch.int64 if self.integer and are_whole(x) else dtype)


def torch_model(module: torch.nn.Module, options: Options) -> Model:
    """Wrap a live module.

    Args:
        module: Takes one batch (b, *row shape), returns one tensor (b,) or (b, k). A module whose
            embedding looks the rows themselves up takes whole numbers and gives no gradients.
        options: What the user said about it.
    """
    name = options.name or type(module).__name__
    with blamed(name, "its layers were listed"):
        device, dtype = placement(module)
        adapter = TorchAdapter(module=module, integer=takes_codes(module, device=device, dtype=dtype))
    return Model(
        name=name,
        framework="torch",
        forward=adapter.forward,
        task=options.known_task,
        output=options.known_output,
        classes=options.classes,
        batch_size=options.rows,
        gradients=None if adapter.integer else adapter.gradients,
        identity=adapter.identity,
        weights=adapter.weights,
    )


def whole_or_bare(ask: Callable[[int], T], *, rows: int, block: int) -> T:
    """Ask in whole blocks; of a module that raises on so many rows, and not on those alone that are needed, in these.

    Args:
        ask: Fills a batch up to a multiple of so many rows, and asks about it.
        rows: Rows that are needed.
        block: Rows of a block.

    >>> def ask(block):
    ...     if block > 8:
    ...         raise ValueError("at most 8 rows")
    ...     return "answered"
    >>> whole_or_bare(ask, rows=5, block=32)
    'answered'
    """
    try:
        return ask(block)
    except RobustError:
        raise
    except Exception as error:
        if rows % block == 0:
            raise
        try:
            return ask(1)
        except Exception:  # a module may raise anything; then it is not the number of rows
            raise error from error.__cause__


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every part's own mode again outside; other threads wait until then."""
    with _MODES:
        modes = _put_into_evaluation(module)
        try:
            yield
        finally:
            _restore(module, modes)


@contextmanager
def evaluating_throughout(module: torch.nn.Module) -> Iterator[None]:
    """The same for many calls, each of which is made in `evaluating` and then finds little to do; no thread waits."""
    with _MODES:
        modes = _put_into_evaluation(module)
    try:
        yield
    finally:
        with _MODES:
            _restore(module, modes)


def _put_into_evaluation(module: torch.nn.Module) -> list[tuple[torch.nn.Module, bool]]:
    """Every part, the module itself first, and whether it was in training mode."""
    modes = [(part, part.training) for part in module.modules()]
    if any(mode for _, mode in modes):
        with suppress(NotImplementedError):  # an exported graph has its mode built in, and says so this way
            module.eval()
    return modes


def _restore(module: torch.nn.Module, modes: list[tuple[torch.nn.Module, bool]]) -> None:
    """Bring back every part's own mode."""
    if any(part.training is not mode for part, mode in modes):
        with suppress(NotImplementedError):
            module.train(modes[0][1])  # first the module's own switch, which may do more than set flags
        for part, mode in modes:
            part.training = mode


def placement(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module lives, and in which floating type it computes."""
    device = torch.device("cpu")
    # Asked at each call: a large module's tensors are not all listed for the first of them.
    for i, tensor in enumerate(chain(module.parameters(), module.buffers())):
        device = tensor.device if i == 0 else device
        if tensor.is_floating_point():
            return device, tensor.dtype
    return device, torch.float32


def _twin(batch: torch.Tensor, x: AnyArray) -> torch.Tensor:
    """The numbers of a batch in other memory: the rows that it was copied from where these are the same, or a copy."""
    if x.flags.c_contiguous and x.flags.writeable and x.shape == batch.shape and batch.device.type == "cpu":
        rows = torch.from_numpy(x)
        if rows.dtype == batch.dtype:
            return rows
    return batch.clone()


def _same_bits(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two batches are the same to the last bit: NaN, which equals nothing, stands for a missing value."""
    # Byte by byte takes five times as long as element by element.
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}.get(tensor.element_size(), torch.uint8)
    same = tensor.shape == other.shape and torch.equal(tensor.detach().view(whole), other.view(whole))
    return bool(same)


def _numpy(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().to(device="cpu", dtype=torch.float64).numpy()
    return array
