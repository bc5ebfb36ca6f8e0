"""A folder that is written file by file, and holds nothing of an earlier run when it is done."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from robust.errors import InvalidInput
from robust.whole_files import write_whole

#: Names that a run may write; those that it did not are removed when it is done.
_OURS = re.compile(
    r"confusion_matrix_test\.png|One_vs_Rest_MultiClass_ROC_test\.png|Histogram_Class_Score_differences_test\.png"
    r"|fpr_tpr_thresholds(_[0-9]+_[A-Za-z0-9_-]{1,40})?\.csv|classification_report\.txt|test_results\.json"
    r"|actual_vs_predicted_test\.png|residuals_test\.png|regression_report\.txt|error_groups_test\.png"
    r"|anomaly_report\.txt|anomaly_scores_test\.png|anomaly_ROC_test\.png|anomaly_thresholds\.csv"
    r"|nearest_training_rows\.csv|label_errors\.csv|float_vs_quantized\.txt|report\.(md|html|pdf)"
)


class FolderWriter:
    """Writes files into one folder.

    Args:
        folder: Made where it lacks.

    Raises:
        InvalidInput: If it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self.skipped: list[tuple[str, str]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._fault(error) from error

    def put(self, name: str, content: bytes | str) -> Path:
        """Write one file whole."""
        path = self.folder / name
        try:
            write_whole(path, content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise self._fault(error) from error
        self.written.append(path)
        return path

    def attempt(self, name: str, make: Callable[[], bytes | str]) -> None:
        """Write one file, or note why there is none: what one file needs must not keep back the others."""
        try:
            content = make()
        except InvalidInput as error:
            self.skip(name, str(error))
            return
        self.put(name, content)

    def skip(self, name: str, reason: str) -> None:
        """Note that a file is not written."""
        self.skipped.append((name, reason))

    def names(self) -> list[str]:
        """Files written so far, from the folder, sorted."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.written)

    def finish(self) -> None:
        """Remove what an earlier run wrote and this one did not."""
        kept = {path.name for path in self.written if path.parent == self.folder}
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in kept and path.is_file():
                with suppress(OSError):
                    path.unlink()

    def _fault(self, error: OSError) -> InvalidInput:
        return InvalidInput(f"the folder {self.folder} cannot be written to: {error.strerror or error}")
