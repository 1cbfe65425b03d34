"""Available memory: read from the system, from a container's limit, and made readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from sargraph.evaluation.baselines import memory


def test_there_is_some_memory():
    assert 1e7 < memory.available_memory() < 1e15


def test_a_container_lowers_it(tmp_path: Path, monkeypatch):
    for name, text in (
        ("max", "5000000"),
        ("current", "3000000"),
        ("stat", "anon 7\ninactive_file 900\n"),
    ):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_memory() == 2000900
    (tmp_path / "memory.max").write_text("max")
    assert memory.available_memory() > 2000900


def test_without_a_word_of_the_system_it_is_the_physical_memory(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.available_memory() > 1e7


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12 bytes"), (1234, "1.23 kB"), (12e6, "12 MB"), (1.2e13, "12.0 TB")]
)
def test_bytes_are_readable(number, text):
    assert memory.readable_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "3 seconds"),
        (119, "119 seconds"),
        (600, "10 minutes"),
        (7200, "2 hours"),
        (4e7, "463 days"),
    ],
)
def test_durations_are_readable(seconds, text):
    assert memory.readable_seconds(seconds) == text
