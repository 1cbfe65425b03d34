"""A healthy pair of logs, and the ways to spoil it: the parts of the malformed inputs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

RECIPE = """
name = "shop"

[[tables]]
file = "searches.csv"
source = "search"
user = "user"
item = { column = "product", optional = true }
time = { column = "at", unit = "s" }
query = "text"

[[tables]]
file = "shown.csv"
source = "recommend"
user = "user"
item = "product"
time = { column = "at", unit = "s" }
action = { column = "clicked", at_least = 1, yes = "click", no = "impression" }
"""
SEARCHES = "user,product,at,text\nann,p1,1700000000,red shoes\nbob,,1700000050,blue hat\n"
HEADER = "user,product,at,clicked\n"
GOOD = "ann,p1,1700000100,1\n"
JSON_QUERY = ('query = "text"', 'query = { column = "text", list = "json" }')


@dataclass
class Shop:
    """A recipe and two healthy logs in a folder of their own, to be spoiled."""

    home: Path
    out: Path = field(init=False)
    logs: Path = field(init=False)
    more: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out = self.home / "out"
        self.logs = self.home / "logs"
        self.logs.mkdir(parents=True)
        self.recipe.write_text(RECIPE, encoding="utf-8")
        self.write("searches.csv", SEARCHES)
        self.write("shown.csv", HEADER + GOOD)

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return self.home / "shop.toml"

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the source folder."""
        path = self.logs / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def move(self, name: str) -> None:
        """Give the source folder another name."""
        self.logs = self.logs.rename(self.home / name)

    def change(self, old: str, new: str) -> None:
        """Change the recipe, wherever the text stands."""
        text = self.recipe.read_text(encoding="utf-8")
        assert old in text
        self.recipe.write_text(text.replace(old, new), encoding="utf-8")


Spoil: TypeAlias = Callable[[Shop], Any]


@dataclass(frozen=True)
class Case:
    """One malformed input; `words` stand in the refusal, or `fates` and `notes` in the report."""

    name: str
    spoil: Spoil
    words: tuple[str, ...] = ()
    fates: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    used: int | None = None

    @property
    def is_refused(self) -> bool:
        """True where the command must end in status 2."""
        return bool(self.words)


def refused(name: str, spoil: Spoil, *words: str) -> Case:
    """A case that must end in status 2 with these words in its one line."""
    return Case(name, spoil, words)


def shown(content: str | bytes) -> Spoil:
    """Another recommendation log."""
    return lambda shop: shop.write("shown.csv", content)


def rows(*lines: str) -> Spoil:
    """A recommendation log of one good row and these."""
    return shown(HEADER + GOOD + "".join(line + "\n" for line in lines))


def queries(*texts: str, json_list: bool = False) -> Spoil:
    """A search log with these queries."""

    def spoil(shop: Shop) -> None:
        lines = [f"ann,p1,{1_700_000_000 + n},{text}\n" for n, text in enumerate(texts)]
        shop.write("searches.csv", "user,product,at,text\n" + "".join(lines))
        if json_list:
            shop.change(*JSON_QUERY)

    return spoil


def priced(*lines: str, separator: str = "|") -> Spoil:
    """A recommendation log whose rows are these (item, slate, prices), each at its own time."""

    def spoil(shop: Shop) -> None:
        rows = [f"ann,{1_700_000_100 + n},1,{line}\n" for n, line in enumerate(lines)]
        shop.write("shown.csv", "user,at,clicked,product,shown,prices\n" + "".join(rows))
        slate = f'slate = {{ column = "shown", list = "{separator}", tokens = "ids" }}'
        price = 'slate_price = { column = "prices" }'
        shop.change('item = "product"\n', f'item = "product"\n{slate}\n{price}\n')

    return spoil


def change(old: str, new: str) -> Spoil:
    """Another recipe."""
    return lambda shop: shop.change(old, new)


def also(*spoils: Spoil) -> Spoil:
    """One after the other."""
    return lambda shop: [spoil(shop) for spoil in spoils]


def parquet(content: bytes) -> Spoil:
    """A Parquet file with these bytes as the recommendation log."""

    def spoil(shop: Shop) -> None:
        shop.write("shown.parquet", content)
        shop.change('file = "shown.csv"', 'file = "shown.parquet"\nformat = "parquet"')

    return spoil


def jsonl(content: str | bytes) -> Spoil:
    """A file of JSON lines as the recommendation log."""

    def spoil(shop: Shop) -> None:
        shop.write("shown.jsonl", content)
        shop.change('file = "shown.csv"', 'file = "shown.jsonl"\nformat = "jsonl"')

    return spoil


def gz(content: bytes) -> Spoil:
    """A gzip file with these bytes as the recommendation log."""
    rename = change('"shown.csv"', '"shown.csv.gz"')
    return also(lambda shop: shop.write("shown.csv.gz", content), rename)


def whole_parquet(**columns: list[object]) -> bytes:
    """The bytes of a healthy Parquet log, with columns replaced."""
    table = {"user": ["ann"], "product": ["p1"], "at": [1_700_000_100], "clicked": [1]}
    sink = io.BytesIO()
    pq.write_table(pa.table(table | columns), sink)
    return sink.getvalue()


def link_outside(shop: Shop) -> None:
    """A link inside the source folder that leads out of it."""
    secret = shop.home / "secret.csv"
    secret.write_text(HEADER + "secret,p1,1700000100,1\n", encoding="utf-8")
    (shop.logs / "shown.csv").unlink()
    (shop.logs / "shown.csv").symlink_to(secret)


def more(*arguments: str) -> Spoil:
    """Further arguments of the command."""
    return lambda shop: shop.more.extend(arguments)


def foreign_out(shop: Shop) -> None:
    """An output folder that holds somebody's work."""
    shop.out.mkdir()
    (shop.out / "thesis.txt").write_text("years of work", encoding="utf-8")


def out_below_a_file(shop: Shop) -> None:
    """An output folder that cannot be made."""
    (shop.home / "file").write_text("", encoding="utf-8")
    shop.out = shop.home / "file" / "out"


def out_read_only(shop: Shop) -> None:
    """An output folder inside one that is read only, for the superuser too."""
    shop.out = Path("/proc/sys/out") if Path("/proc/sys").is_dir() else shop.home / "shut" / "out"
    if not Path("/proc/sys").is_dir():
        (shop.home / "shut").mkdir(mode=0o500)


def out_is_a_file(shop: Shop) -> None:
    """An output that is a file."""
    shop.out.write_text("mine", encoding="utf-8")
