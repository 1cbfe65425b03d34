"""Files of raw logs: found in the source folder, unpacked, and proved to be readable text."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from sargraph.core.errors import DataError, RecipeError, nearest
from sargraph.events.recipe import FileSource

BLOCK = 1 << 20

_LINE_ENDS = re.compile("\n{2,}")


def find_files(folder: Path, source: FileSource) -> list[Path]:
    """The files of a source, sorted by name; empty where none fits.

    Raises DataError when several fit and the recipe does not say `many`.
    """
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}; give the folder that holds the raw logs")
    try:
        paths = sorted(path for path in folder.glob(source.file) if path.is_file())
    except (ValueError, NotImplementedError, IndexError, OSError) as error:
        why = getattr(error, "strerror", None) or error  # the whole of an OSError names the path
        raise RecipeError(
            f"'{source.file[:80]}' is no file name or pattern ({why}); mend it"
        ) from None
    if len(paths) > 1 and not source.many:
        found = ", ".join(path.name for path in paths[:5])
        raise DataError(
            f"'{source.file}' fits {len(paths)} files ({found}), expected one; give a folder with "
            "one data set, or set `many = true` in the recipe"
        )
    return paths


def require_files(folder: Path, source: FileSource) -> list[Path]:
    """As `find_files`, at least one. Raises DataError naming the nearest file there is."""
    paths = find_files(folder, source)
    if not paths:
        there = [path.name for path in folder.iterdir()]
        raise DataError(f"no file '{source.file}' in {folder}; {nearest(source.file, there)}")
    return paths


def plain_text(path: Path, encoding: str, scratch: Path, *, table_quote: str | None = None) -> Path:
    """A UTF-8 file with the text of `path`: itself where it is one, else a copy in `scratch`.

    A file that mixes kinds of line ends is copied too, all of them as `\\n`; so is a table, whose
    quote is `table_quote`, with blank lines, which are left out: they are no rows, and a scan that
    met them would number the rows behind them differently where it refuses one.
    Raises DataError for an empty file, a damaged gzip, or bytes that are not of the encoding
    (with their place); RecipeError for an unknown encoding. Cost: one pass over the file, two where
    it is copied.
    """
    try:
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        "".encode(encoding)  # refuses codecs that are none of texts, such as base64
    except (LookupError, ValueError):
        raise RecipeError(f"unknown encoding '{encoding}' for {path.name}; try utf-8") from None
    if is_utf8 and path.suffix != ".gz" and not _is_uneven(path, table_quote is not None):
        return path
    # Numbered, because files of one name may lie in several folders.
    copy = scratch / f"{len(list(scratch.iterdir()))}-{path.name}.utf8"
    _copy(path, encoding, copy, table_quote)
    return copy


def _is_uneven(path: Path, is_table: bool) -> bool:
    """True where a UTF-8 file mixes `\\r\\n` with `\\n`, or is a table with blank lines."""
    num_chars, windows, all_ends, blank, last = 0, 0, 0, 0, ""
    for text in _decoded(path, "utf-8"):
        num_chars += len(text)
        windows += text.count("\r\n")
        all_ends += text.count("\n")
        if is_table:
            blank += any(pair in last + text for pair in ("\n\n", "\n\r\n"))
            last = (last + text)[-2:]
    _require_text(num_chars, path)
    return 0 < windows < all_ends or blank > 0


def _copy(path: Path, encoding: str, copy: Path, table_quote: str | None) -> None:
    num_chars = 0
    shorten = None if table_quote is None else _BlankLines(table_quote)
    with copy.open("w", encoding="utf-8", newline="") as target:
        for text in _decoded(path, encoding):
            num_chars += len(text)
            even = text.replace("\r\n", "\n")
            target.write(shorten.leave_out(even) if shorten else even)
    _require_text(num_chars, path)


class _BlankLines:
    """Leaves the blank lines out of a table that comes block by block, but not those in quotes."""

    def __init__(self, quote: str) -> None:
        self._quote = quote
        self._is_quoted = False
        self._at_start = False

    def leave_out(self, text: str) -> str:
        """The block without its blank lines."""
        kept = []
        for place, part in enumerate(text.split(self._quote) if self._quote else [text]):
            if place:
                self._is_quoted = not self._is_quoted
                self._at_start = False
                kept.append(self._quote)
            kept.append(part if self._is_quoted else self._shortened(part))
        return "".join(kept)

    def _shortened(self, part: str) -> str:
        short = _LINE_ENDS.sub("\n", part)
        if self._at_start:
            short = short.removeprefix("\n")
        if part:
            self._at_start = part.endswith("\n")
        return short


def _require_text(num_chars: int, path: Path) -> None:
    if num_chars == 0:
        raise DataError(f"{path} is empty; expected a file with rows")


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """The text of a file block by block; a block never ends between `\\r` and `\\n`."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done, held = 0, ""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while True:
                waiting = len(decoder.getstate()[0])
                block = file.read(BLOCK)
                text = held + decoder.decode(block, final=not block)
                done += len(block)
                held = "\r" if block and text.endswith("\r") else ""
                yield text.removesuffix("\r") if held else text
                if not block:
                    return
    except UnicodeDecodeError as error:
        if _is_parquet(path):
            raise DataError(f"{path} is a Parquet file; set format = 'parquet'") from None
        at = done - waiting + error.start
        raise DataError(
            f"{path} is not {encoding}: byte {error.object[error.start]:#04x} at offset {at}; name "
            'its encoding in the recipe, such as `encoding = "latin-1"`'
        ) from None
    except UnicodeError as error:  # such as UTF-16 without the mark that says its order
        raise DataError(f"{path} is not {encoding} ({error}); name its encoding") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}); fetch it again") from None
