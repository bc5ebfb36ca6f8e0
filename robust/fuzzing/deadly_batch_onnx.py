"""Whether an empty batch ends the process: onnxruntime aborts on some, past anything that Python could catch."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robust.fuzzing.subject import KillsProcess
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.base import Model
from robust.types import AnyArray

_PROGRAM = Path(__file__).with_name("empty_batch_onnx.py")
#: Most that the child may take; one that is not done by then has not died.
_SECONDS = 30.0
#: Signals that a process brings on itself; others come from outside, such as from a system short of memory.
_OWN = frozenset({"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"})


@dataclass(slots=True, eq=False)
class EmptyBatch:
    """Refuses an empty batch that a process of its own died of; that one is asked once.

    Args:
        model: The model.
        adapter: Its session.
        seconds: Most that the child may take.
        asked: Whether it was.
        died: The signal that ended it, None where none did.
    """

    model: Model
    adapter: OnnxAdapter
    seconds: float = _SECONDS
    asked: bool = False
    died: signal.Signals | None = None

    def __call__(self, rows: AnyArray) -> None:
        """Look at a batch before the session gets it.

        Raises:
            KillsProcess: If it has no rows, and the model dies of that.
        """
        if len(rows):
            return
        if not self.asked:
            self.asked, self.died = True, self._ended_by(rows)
        if self.died is not None:
            raise KillsProcess(f"an empty batch kills the process (signal {self.died.value}, {self.died.name})")

    def _ended_by(self, rows: AnyArray) -> signal.Signals | None:
        """The signal that ends a process that runs the model on these rows."""
        # What a session was made of is no part of its public interface; a file with tensors beside it is named there.
        session = self.adapter.session
        file = getattr(session, "_model_path", None)
        content = getattr(session, "_model_bytes", None) if self.model.content is None else self.model.content()
        if not (file or content) or not sys.executable:
            return None
        told = {
            "path": sys.path,
            "file": str(Path(file).resolve()) if file else None,
            "input": self.adapter.input,
            "output": self.adapter.output,
            "shape": rows.shape,
            "dtype": str(rows.dtype),
        }
        code = 0
        with suppress(OSError, subprocess.TimeoutExpired):
            code = subprocess.run(
                [sys.executable, "-P", str(_PROGRAM), json.dumps(told)],
                input=None if file else content,
                stdin=subprocess.DEVNULL if file else None,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=self.seconds,
                check=False,
            ).returncode
        return next((one for one in signal.Signals if one.value == -code and one.name in _OWN), None)
