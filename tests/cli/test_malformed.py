"""Malformed inputs through the real command: status 2 and one line, or a counted fate.

The list of inputs is `malformed_cases.CASES`; each name is a test's id.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sargraph.core.artifact import MANIFEST

from .malformed_cases import CASES
from .malformed_shop import Case, Shop

LIMIT_SECONDS = 60


@contextmanager
def in_time() -> Iterator[None]:
    """Turn a hang into a failure, where the platform has alarms."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no answer within {LIMIT_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _param(case: Case):
    return pytest.param(case, id=case.name)


@pytest.mark.parametrize("case", [_param(case) for case in CASES])
def test_malformed(case: Case, command, tmp_path: Path, monkeypatch) -> None:
    shop = Shop(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    case.spoil(shop)
    kept = {path: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    with in_time():
        result = command(
            "ingest", shop.recipe, "--source", shop.logs, "--out", shop.out, *shop.more
        )
    assert "Traceback" not in result.err
    assert not (tmp_path / "executed").exists()
    assert kept == {path: path.stat().st_size for path in kept}
    (_refused if case.is_refused else _counted)(case, result, shop.out)


def _refused(case: Case, result, out: Path) -> None:
    assert result.status == 2, (result.status, result.err, result.out)
    assert result.err.startswith("error: ") and result.err.count("\n") == 1, result.err
    assert len(result.err) < 1000
    assert result.err[:-1].isprintable(), result.err
    assert all(word in result.err for word in case.words), result.err
    assert not (out / MANIFEST).exists()


def _counted(case: Case, result, out: Path) -> None:
    assert result.status == 0, result.err
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    reasons = {
        **report["merged_by_reason"],
        **report["filtered_by_reason"],
        **report["quarantined_by_reason"],
    }
    assert reasons == case.fates
    assert case.used is None or report["used"] == case.used
    assert {name: report["notes"][name] for name in case.notes} == case.notes
    for file in (report, *report["files"].values()):
        fates = [file[fate] for fate in ("merged", "filtered", "quarantined")]
        lost = sum(f if isinstance(f, int) else sum(f.values()) for f in fates)
        assert file["rows"] == file["used"] + lost
    assert len(pq.read_table(out / "fates.parquet")) == report["rows"] - report["used"]
    texts = pq.read_table(out / "quarantine.parquet")["text"].to_pylist()
    assert all(len(text) <= 200 for text in texts)


def test_names_are_those_of_different_inputs() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 35


@pytest.fixture
def spoiled(tmp_path: Path, command) -> Callable[..., Path]:
    """Good events, one file of which was then changed by a function of its bytes."""

    def make(name: str, change: Callable[[bytes], bytes | None]) -> Path:
        folder = tmp_path / "events"
        shop = Shop(tmp_path / "home")
        assert command("ingest", shop.recipe, "--source", shop.logs, "--out", folder).status == 0
        content = change((folder / name).read_bytes())
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        return folder

    return make


DAMAGES = {
    "manifest cut": (MANIFEST, lambda b: b[: len(b) // 2]),
    "manifest that is a list": (MANIFEST, lambda b: b"[]"),
    "manifest that is not UTF-8": (MANIFEST, lambda b: b"\xff" + b),
    "manifest gone": (MANIFEST, lambda b: None),
    "events cut": ("events.parquet", lambda b: b[:-10]),
    "events gone": ("events.parquet", lambda b: None),
    "a bit turned": ("user.parquet", lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:]),
    "report that is empty": ("report.json", lambda b: b""),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("verb", ["build", "describe"])
def test_damaged_events(name: str, verb: str, spoiled, command, tmp_path: Path) -> None:
    folder = spoiled(*DAMAGES[name])
    more = ["--out", tmp_path / "graph"] if verb == "build" else []
    with in_time():
        result = command(verb, folder, *more)
    assert result.status == 2, (result.out, result.err)
    assert result.err.startswith("error: ") and result.err.count("\n") == 1
    assert "events" in result.err and not (tmp_path / "graph").exists()
