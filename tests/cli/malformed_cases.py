"""Malformed inputs by name: what is done to a healthy pair of logs, and what must be answered."""

from __future__ import annotations

import gzip
import json
import pickle
from typing import Any

from .malformed_shop import (
    GOOD,
    HEADER,
    Case,
    also,
    change,
    foreign_out,
    gz,
    jsonl,
    link_outside,
    more,
    out_below_a_file,
    out_is_a_file,
    out_read_only,
    parquet,
    priced,
    queries,
    refused,
    rows,
    shown,
    whole_parquet,
)


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
    refused("Parquet named csv", shown(whole_parquet()), "shown.csv", "format = 'parquet'"),
    refused("JSON lines named csv", shown('{"user": "ann", "product": "p1"}\n' * 2), "'jsonl'"),
    refused("semicolons for commas", shown((HEADER + GOOD).replace(",", ";")), "delimiter = ';'"),
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

SPREAD = [
    Case("number beyond 32 bits", rows("ann,p1,1700000101,3e9"), used=4),
    refused("JSON line of 17 MB", jsonl('{"user": "' + "x" * 17_000_000 + '"}'), "shown.jsonl"),
    refused("JSON lines that end like old ones", jsonl('{"user": "ann"}\r{"user": "bob"}'),
            "shown.jsonl"),
    refused("UTF-16 without its mark", also(shown((HEADER + GOOD).encode("utf-16-be")[1:]),
            change('"shown.csv"', '"shown.csv"\nencoding = "utf-16"')), "is not utf-16"),
    refused("encoding of a codec that is none", change('"shown.csv"',
            '"shown.csv"\nencoding = "undefined"'), "undefined"),
    refused("file called like a folder", change('"shown.csv"', '"."'), "'.'"),
    refused("file of a name too long", change('"shown.csv"', repr("x" * 5000)), "no file name"),
    refused("gap of a session without end", more("--set", "session_gap_minutes=inf"),
            "session_gap_minutes"),
    refused("gap of a session that no clock counts", more("--set", "session_gap_minutes=1e300"),
            "session_gap_minutes"),
    refused("condition without end", change('query = "text"',
            'query = "text"\nkeep = [{ column = "at", at_least = inf }]'), "at_least"),
    refused("offset that no zone has", change('unit = "s" }\naction',
            'unit = "iso", utc_offset = "+99:99" }\naction'), "utc_offset"),
    refused("a hundred thousand threads", more("--threads", "100000"), "100000 threads"),
    refused("less than no memory", more("--memory-limit", "-1GB"), "memory limit '-1GB'"),
    Case("recipe with a byte order mark", lambda s: s.recipe.write_text(
         "\ufeff" + s.recipe.read_text(encoding="utf-8"), encoding="utf-8"), used=3),
    Case("folder called like a column", lambda s: s.move("user=bob"), used=3),
    Case("folder called like a pattern", lambda s: s.move("logs[1]*"), used=3),
    Case("places that no gap can span", also(change('unit = "s"', 'unit = "ordinal"'),
         change('name = "shop"', 'name = "shop"\ntime_kind = "ordinal"'),
         rows(f"ann,p1,{2**63 - 1},1", f"ann,p1,{-(2**63) + 1},1")),
         fates={"unreadable time": 2}, used=3),
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
    refused("unknown time zone", change('unit = "s"', 'unit = "iso", zone = "Mars/Base"'),
            "unknown time zone"),
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
    refused("kind of row that no row has", also(change('source = "recommend"',
            'source = "attributed"\nquery = "product"\n'
            'attribution = { column = "clicked", opens = ["serach"] }'),
            shown("user,product,at,clicked\nann,p1,1700000100,search\n")), "opens a search",
            "did you mean 'search'"),
    refused("pattern that fits two files", also(change('"shown.csv"', '"s*.csv"')), "fits 2 files"),
    refused("pattern that is no pattern", change('"shown.csv"', '"**x"'), "**x"),
    refused("file of no name", change('"shown.csv"', '""'), "file"),
]  # fmt: skip

PRICES = [
    Case("price lists of another length than their slates", priced(
         "p1,p1|p2,5", "p1,p1|p2,5|6|7", "p1,p1|p2,|", "p1,p1|p2,", "p1,,5"),
         notes={"unequal_price_list": 3, "unreadable_price": 0}, used=7),
    Case("prices that are no numbers or negative", priced(
         "p1,p1|p2|p3,free|-1|1e999", "p2,p1|p2|p3,NaN|null|-inf", "p3,p3|p1,$5|0x10"),
         notes={"unreadable_price": 6, "unequal_price_list": 0}, used=5),
    Case("price lists of broken JSON, of lists and of code", priced(
         'p1,"[""p1"", ""p2""]","[1, 2"', 'p1,"[""p1"", ""p2""]","[[1], [2]]"',
         'p1,"[""p1"", ""p2""]","__import__(\'os\')"', 'p1,"[""p1"", ""p2""]","[1, null]"',
         separator="json"), notes={"unequal_price_list": 3, "unreadable_price": 0}, used=6),
    Case("price list of 10 MB", priced(f"p1,p1|p2,{'1|' * 5_000_000}"),
         notes={"unequal_price_list": 1}, used=3),
    Case("price of one item that is no number", also(change('item = "product"\n',
         'item = "product"\nprice = "at"\n'), change(TIME, TIME.replace('"at"', '"clicked"')),
         shown(HEADER + "ann,p1,-1,1700000100\nann,p2,cheap,1700000101\n")),
         notes={"unreadable_price": 2}, used=4),
    refused("prices beside no slate", also(priced("p1,p1|p2,1|2"), change("slate = ", "# ")),
            "`slate_price`", "there is none"),
    refused("prices in a column that the file lacks", also(priced("p1,p1|p2,1|2"),
            change('"prices"', '"price"')), "no column 'price'", "did you mean 'prices'"),
    refused("tokens of prices", also(priced("p1,p1|p2,1|2"), change('"prices"',
            '"prices", tokens = "ids"')), "tokens"),
]  # fmt: skip

SETTINGS = [
    refused("memory limit of words", more("--memory-limit", "plenty"), "memory limit 'plenty'"),
    refused("memory limit too small", more("--memory-limit", "1KB"), "memory"),
    refused("setting that no recipe has", more("--set", "threads=-1"), "unknown key 'threads'"),
    refused("override without a value", more("--set", "max_query_terms"), "section.key=value"),
    refused("output folder of somebody else", foreign_out, "out"),
    refused("output below a file", out_below_a_file, "file", "cannot be written"),
    refused("output that nobody can write", out_read_only, "cannot be written"),
    refused("output that is a file", out_is_a_file, "out"),
]  # fmt: skip

CASES = [*FILES, *ROWS, *SPREAD, *QUERIES, *TIMES, *RECIPES, *PRICES, *SETTINGS]
