"""TensorBoard: the curves of a training, where the package is installed and a folder is given."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from sargraph.core.errors import ConfigError


class Board:
    """Writes one value per name and epoch to a TensorBoard folder; does nothing without a folder.

    Raises ConfigError where a folder is given and the package `tensorboard` is not installed.
    """

    def __init__(self, folder: str | None) -> None:
        self._writer: Any = _writer(folder) if folder else None

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, entry: dict[str, Any]) -> None:
        """Write an epoch's history entry: loss, its parts, score and seconds."""
        if self._writer is None:
            return
        named = {"loss": entry["loss"], "score": entry["score"], "seconds": entry["seconds"]}
        named |= {f"parts/{name}": value for name, value in entry["parts"].items()}
        for name, value in named.items():
            if value is not None:
                self._writer.add_scalar(name, value, entry["epoch"])
        self._writer.flush()


def _writer(folder: str) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            f"got fit.tensorboard = '{folder}', but the package tensorboard is not installed; "
            "run `pip install tensorboard`, or leave the setting out"
        ) from None
    return SummaryWriter(folder)
