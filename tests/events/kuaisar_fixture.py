"""KuaiSAR's five files in small, with every trap of the real ones, in the shapes of v1 and v2."""

from __future__ import annotations

import csv
from pathlib import Path

T0 = 1684742000000  # 2023-05-22 15:53:20 in Beijing
MINUTE, DAY = 60_000, 86_400_000
SEARCHED = 1684763932919

RECOMMENDED = (
    # user, item, time as written, click: one time for a whole batch, floats and exponents
    ("1", "3", f"{T0}.0", "1"),
    ("1", "1", f"{T0}.0", "0"),
    ("1", "2", "1.684742e+12", "1"),
    ("1.0", "5", f"{T0 + 20 * MINUTE}.0", "1"),
    ("1", "6", f"{T0 + 60 * MINUTE}.0", "0"),
    ("2", "1", f"{T0 + DAY}.0", "1"),
    ("2", "1", f"{T0 + DAY}.0", "1"),  # the same event twice
    ("", "1", f"{T0}.0", "1"),
    ("NaN", "1", f"{T0}.0", "1"),
    ("2", "nan", f"{T0}.0", "1"),
    ("2", "3", "", "1"),
    ("2", "3", f"{T0}.0", "yes"),
)

FOUND = (
    # user, session id, time, keyword, item, clicks, item type
    ("1", "1", SEARCHED, "[20, 34, 3]", "103656000000", "2", "VIDEO"),
    ("1", "1", SEARCHED, "[20, 34, 3]", "7", "0", "USER"),
    ("1", "1", SEARCHED + DAY, "[20, 34, 3]", "8", "0", "LIVE"),  # the pair comes again
    ("2", "1", SEARCHED, "[20]", "1", "0", "VIDEO"),  # another user's session 1, no click
    ("2", "2", SEARCHED + MINUTE, "[20, 34", "9", "1", "VIDEO"),  # no list
    ("2", "3", SEARCHED + 2 * MINUTE, "[]", "9", "0", "VIDEO"),
)

NUM_EVENTS = 12
LONG_CAPTION = list(range(100, 60_100))  # about 340,000 characters: past Python's csv limit


# The same columns in another order: the place of each name in a row of v1.
ORDER_OF_V2 = (4, 6, 7, 1, 8, 0, 3, 5, 2)


def write_kuaisar(folder: Path, version: str) -> Path:
    """Write the five files in the shape of a version, "v1" or "v2"; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "rec_inter.csv", [_recommended(*row) for row in RECOMMENDED])
    searches = [_found(*row) for row in FOUND]
    columns = list(searches[0])
    if version == "v2":
        columns = [columns[place] for place in ORDER_OF_V2]
    _write(folder / "src_inter.csv", searches, columns)
    level = "rec_active_level" if version == "v1" else "reco_active_level"
    users = [{"user_id": u, "search_active_level": "1", level: "7"} for u in ("1", "2")]
    _write(folder / "user_features.csv", users)
    _write(folder / "social_network.csv", [{"user_id": "1", "user_follow_id": "[2, 3]"}])
    _write(folder / "item_features.csv", _items(version))
    return folder


def _write(path: Path, rows: list[dict[str, str]], columns: list[str] | None = None) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _recommended(user: str, item: str, time: str, click: str) -> dict[str, str]:
    return {
        "user_id": user,
        "item_id": item,
        "playing_time": "60792.0",
        "duration_ms": "45400.0",
        "time": "2023-05-22 15:53:20",
        "timestamp": time,
        "click": click,
        **dict.fromkeys(("forward", "like", "follow", "search", "search_item_related"), "1"),
    }


def _found(
    user: str, session: str, time: int, keyword: str, item: str, clicks: str, kind: str
) -> dict[str, str]:
    return {
        "user_id": user,
        "search_session_id": session,
        "search_session_time": "2023-05-22 21:58:52",
        "search_session_timestamp": str(time),
        "keyword": keyword,
        "search_source": "USER_INPUT",
        "item_id": item,
        "click_cnt": clicks,
        "item_type": kind,
    }


def _items(version: str) -> list[dict[str, str]]:
    captions = {"1": "[1, 213, 24]", "2": str(LONG_CAPTION), "3": "[1, 2", "777": "[5]"}
    rows = []
    for item, caption in captions.items():
        row = {"item_id": item, "caption": caption, "author_id": "10", "item_type": "NORMAL"}
        row |= {"upload_time": "1970-1-1", "upload_type": "LongImport"}
        row |= {"music_id": "4"} if version == "v2" else {}
        levels = (("first", "9", "搞笑", "Funny"), ("second", "136", "搞笑段子", "Funny joke"))
        for level, *names in (*levels, *((n, "0", "空", "empty") for n in ("third", "fourth"))):
            for suffix, name in zip(("id", "name", "name_en"), names, strict=True):
                row[f"{level}_level_category_{suffix}"] = name
        rows.append(row)
    return rows
