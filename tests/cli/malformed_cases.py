"""Malformed inputs by name: what is done to a healthy pair of logs, and what must be answered."""

from __future__ import annotations

import gzip
import io
import json
import pickle
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
    more: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out = self.home / "out"
        self.logs.mkdir(parents=True)
        self.recipe.write_text(RECIPE, encoding="utf-8")
        self.write("searches.csv", SEARCHES)
        self.write("shown.csv", HEADER + GOOD)

    @property
    def logs(self) -> Path:
        """The source folder."""
        return self.home / "logs"

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return self.home / "shop.toml"

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the source folder."""
        path = self.logs / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def change(self, old: str, new: str) -> None:
        """Change the recipe."""
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


class Trap:
    """Runs code when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('unpickled')",)


QUOTED = 'ann,"p1,1700000100,1\n'
LONG = "x" * 10_000_000
DEEP = "[" * 100_000
INJECTION = '"; DROP TABLE events; --'
PICKLE = pickle.dumps(Trap())
TIME = 'time = { column = "at", unit = "s" }\naction'
NUMBERS = ("ann,p1,1700000101,NaN", "ann,p1,1700000102,inf", "ann,p1,1700000103,1e400")

FILES = [
    refused("empty file", shown(""), "shown.csv", "empty"),
    refused("only a header", shown(HEADER), "shown.csv", "no rows"),
    refused("only blank lines", shown("\n\n\n"), "shown.csv"),
    refused("no such file", lambda s: (s.logs / "shown.csv").rename(s.logs / "showm.csv"),
            "no file 'shown.csv'", "did you mean 'showm.csv'"),
    refused("a folder in place of a file", lambda s: [(s.logs / "shown.csv").unlink(),
            (s.logs / "shown.csv").mkdir()], "no file 'shown.csv'"),
    refused("no such folder", lambda s: s.logs.rename(s.home / "elsewhere"), "no such folder"),
    refused("no such column", shown("user,prodct,at,clicked\n" + GOOD), "no column 'product'",
            "did you mean 'prodct'"),
    refused("column named twice", shown("user,product,at,at\n" + GOOD), "'at' twice"),
    refused("binary garbage", shown(bytes(range(256)) * 20), "shown.csv", "is not utf-8"),
    refused("pickle named csv", shown(PICKLE), "shown.csv"),
    refused("Parquet named csv", shown(whole_parquet()), "shown.csv"),
    refused("CSV named Parquet", parquet((HEADER + GOOD).encode()), "damaged Parquet"),
    refused("truncated Parquet", parquet(whole_parquet()[:-10]), "damaged Parquet"),
    refused("truncated gzip", gz(gzip.compress((HEADER + GOOD * 999).encode())[:-20]),
            "damaged gzip"),
    refused("text named gz", gz((HEADER + GOOD).encode()), "damaged gzip"),
    refused("one line of 40 MB in 40 kB of gzip", gz(gzip.compress(b"a" * 40_000_000)),
            "shown.csv.gz"),
    Case("row of 40 MB in 40 kB of gzip",
         gz(gzip.compress((HEADER + GOOD).encode() + b"a" * 40_000_000 + b"\n")),
         fates={"line too long": 1}, used=3),
    refused("UTF-16", shown((HEADER + GOOD).encode("utf-16")), "is not utf-8", "encoding"),
    refused("Latin-1 in UTF-8", shown((HEADER + "ann,caf\u00e9,1700000100,1\n").encode("latin-1")),
            "byte 0xe9", "latin-1"),
    Case("byte order mark", shown(("\ufeff" + HEADER + GOOD).encode()), used=3),
    Case("old line ends", shown((HEADER + GOOD).replace("\n", "\r").encode()), used=3),
    Case("NUL bytes", rows("a\0nn,p1,1700000101,1"), used=4),
]  # fmt: skip

ROWS = [
    Case("quote open at the end", shown(HEADER + GOOD + QUOTED),
         fates={"unbalanced quotes": 1}, used=3),
    Case("quote open in the middle", shown(HEADER + QUOTED + GOOD),
         fates={"unbalanced quotes": 2}, used=2),
    refused("quote that swallows the file", shown(HEADER + QUOTED + GOOD * 2000),
            "does not close"),
    Case("too few and too many columns", rows("ann,p1", "ann,p1,1,1,1"),
         fates={"wrong number of columns": 2}, used=3),
    Case("field of 10 MB", rows(f"ann,{LONG},1700000101,1"), used=4),
    Case("missing ids", rows(*(f"{none},p1,1700000101,1" for none in
                               ("", "NaN", "null", "None", "NA", "\\N", "   ", "<NA>"))),
         fates={"no user id": 8}, used=3),
    Case("id of 10,000 signs and one over 2^64", rows(f"{'u' * 10_000},p1,1700000101,1",
                                                      f"{2**70},{2**64},1700000102,1"), used=5),
    Case("NaN and infinite numbers", rows(*NUMBERS), fates={"unreadable action": 3}, used=3),
    Case("formula texts", rows('=cmd|"/c calc"!A1,p1,1700000101,1', "@SUM(1),+1-1,1700000102,1"),
         used=5),
    Case("SQL in values", rows("'; DROP TABLE rejects_1; --,p1,1700000101,1"), used=4),
    Case("control signs of terminals", rows("\x1b[2J\x1b]0;x\x07,p1,1700000101,1"), used=4),
    Case("one user with 100,000 events and a cap", also(shown(HEADER + "".join(
        f"bot,p{n},{1_700_000_000 + n},1\n" for n in range(100_000))),
        more("--set", "max_user_events=100")), fates={"bot cap": 99_900}, used=102),
    refused("all rows in quarantine", also(shown(HEADER + ",p1,1700000100,1\n"), lambda s: s.write(
        "searches.csv", "user,product,at,text\nNaN,p1,1700000000,x\n")), "no event", "no user id"),
    refused("core that leaves nothing", more("--set", "core.min_user_items=9"), "outside core"),
    Case("broken JSON lines", jsonl('{"user": "ann", "product": "p1", "at": 1700000100, '
         '"clicked": 1}\n{"user": \n[1]\nnull\n'), fates={"not a JSON object": 3}, used=3),
    refused("JSON lines without an object", jsonl("1\n2\n"), "shown.jsonl"),
    refused("one object over all lines", jsonl(json.dumps({"rows": [1, 2]}, indent=1)),
            "shown.jsonl"),
    Case("null ids of Parquet", parquet(whole_parquet(
        user=["ann", None], product=["p1", "p2"], at=[1_700_000_100] * 2, clicked=[1, 1])),
        fates={"no user id": 1}, used=3),
    Case("Parquet times that are lists", parquet(whole_parquet(at=[[1_700_000_100]])),
         fates={"unreadable time": 1}, used=2),
]  # fmt: skip

QUERIES = [
    Case("code as a query list", queries("\"[__import__('os').system('touch executed')]\"",
         json_list=True), notes={"unreadable_list": 1}, used=2),
    Case("NaN in a JSON query", queries('"[NaN, 1]"', "[Infinity]", json_list=True),
         notes={"unreadable_list": 2}, used=3),
    Case("deeply nested JSON query", queries(DEEP, json_list=True),
         notes={"unreadable_list": 1}, used=2),
    Case("JSON query of objects", queries('"{""a"": 1}"', '"[{}]"', "7", json_list=True),
         notes={"unreadable_list": 3}, used=4),
    Case("queries of emoji and nothing to see", queries("\U0001f600", "\u200b", "   ", "\u202e"),
         notes={"empty_query": 3}, used=5),
    Case("query of 20,000 words", queries("w " * 20_000), notes={"cut_query": 1}, used=2),
]  # fmt: skip

TIMES = [
    refused("seconds declared as milliseconds", change(TIME, TIME.replace('"s"', '"ms"')),
            "declared in 'ms'", "'s'"),
    refused("mixed units with auto", also(change(TIME, TIME.replace('"s"', '"auto"')),
            rows("ann,p1,1700000100000,1")), "no one unit fits"),
    Case("years 9999 and 1900 and a negative time", rows("ann,p1,253370764800,1",
         "ann,p1,-2208988800,1", "ann,p1,-9223372036854775808,1", "ann,p2,1700000101,1",
         "ann,p3,1700000102,1", "ann,p4,1700000103,1"),
         fates={"time in the future": 1, "time before 1995": 1, "unreadable time": 1}, used=6),
    Case("times that are words, dates, NaN", rows("ann,p1,yesterday,1", "ann,p1,2023-01-01,1",
         "ann,p1,NaN,1", "ann,p1,inf,1", "ann,p1,,1"), fates={"unreadable time": 5}, used=3),
    Case("dates that do not exist", also(change(TIME, TIME.replace('"s"', '"iso"')), shown(
        HEADER + "ann,p1,2023-02-30,1\nann,p1,2023-02-28 25:00:00,1\nann,p1,2023-02-28,1\n")),
        fates={"unreadable time": 2}, used=3),
]  # fmt: skip

RECIPES = [
    refused("unknown key", change("query =", "qeury ="), "qeury", "did you mean 'query'"),
    refused("value of a wrong type", more("--set", "max_query_terms=many"), "max_query_terms"),
    refused("number below its range", more("--set", "max_user_events=-1"), "max_user_events"),
    refused("unknown unit", change('unit = "s"', 'unit = "seconds"'), "unit", "seconds"),
    refused("unknown format", change('"shown.csv"', '"shown.csv"\nformat = "xls"'), "xls"),
    refused("fields that contradict each other", change('query = "text"', ""), "needs `query`"),
    refused("unknown time zone", change('unit = "s"', 'unit = "iso"\nzone = "Mars/Base"'),
            "shop.toml"),
    refused("TOML with an error", change("[[tables]]", "[[tables]"), "not readable TOML"),
    refused("recipe that is binary", lambda s: s.recipe.write_bytes(PICKLE), "shop.toml"),
    refused("recipe that is empty", lambda s: s.recipe.write_text(""), "missing"),
    refused("unknown encoding", change('"shown.csv"', '"shown.csv"\nencoding = "klingon"'),
            "unknown encoding 'klingon'"),
    refused("encoding that is no text", change('"shown.csv"', '"shown.csv"\nencoding = "base64"'),
            "base64"),
    refused("SQL as a column's name", change('"clicked"', repr(INJECTION)), "no column"),
    refused("SQL as a file's name", change('"shown.csv"', repr(INJECTION)), "no file"),
    Case("SQL as the name of a real column", also(change('"clicked"', repr(INJECTION)), shown(
        'user,product,at,"""; DROP TABLE events; --"\n' + GOOD)), used=3),
    Case("SQL as the name of a real file", also(change('"shown.csv"', '"x\'); DROP TABLE y; --"'),
         lambda s: s.write("x'); DROP TABLE y; --", HEADER + GOOD)), used=3),
    refused("file above the folder", change('"shown.csv"', '"../shop.toml"'), "leads out"),
    refused("absolute file", change('"shown.csv"', '"/etc/passwd"'), "leads out"),
    Case("link that leads out of the folder, made by its owner", link_outside, used=3),
    refused("delimiter of two signs", change('"shown.csv"', '"shown.csv"\ndelimiter = "::"'),
            "delimiter"),
    refused("delimiter that is the quote", change('"shown.csv"',
            '"shown.csv"\ndelimiter = \'"\''), "shown.csv", "no column 'user'"),
    refused("pattern that fits two files", also(change('"shown.csv"', '"s*.csv"')), "fits 2 files"),
    refused("pattern that is no pattern", change('"shown.csv"', '"**x"'), "**x"),
    refused("file of no name", change('"shown.csv"', '""'), "file"),
]  # fmt: skip

SETTINGS = [
    refused("memory limit of words", more("--memory-limit", "plenty"), "memory limit 'plenty'"),
    refused("memory limit too small", more("--memory-limit", "1KB"), "memory"),
    refused("threads below none", more("--set", "threads=-1"), "threads"),
    refused("override without a value", more("--set", "max_query_terms"), "section.key=value"),
    refused("output folder of somebody else", foreign_out, "out"),
    refused("output below a file", out_below_a_file, "file", "cannot be written"),
    refused("output that nobody can write", out_read_only, "cannot be written"),
    refused("output that is a file", out_is_a_file, "out"),
]  # fmt: skip

CASES = [*FILES, *ROWS, *QUERIES, *TIMES, *RECIPES, *SETTINGS]
