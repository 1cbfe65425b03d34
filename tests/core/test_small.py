"""Registry, randomness, progress and the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sargraph.core.errors import ConfigError
from sargraph.core.page import Page, cards, paragraph, table
from sargraph.core.progress import progress, quiet
from sargraph.core.registry import Registry
from sargraph.core.rng import make_rng, torch_generator


def test_a_registry_names_the_nearest_member():
    models: Registry[int] = Registry("model")
    models.register("uditsr")(1)
    assert models.get("uditsr") == 1
    with pytest.raises(ConfigError, match="unknown model 'uditrs'; did you mean 'uditsr'"):
        models.get("uditrs")
    with pytest.raises(ValueError, match="twice"):
        models.register("uditsr")(2)


def test_named_streams_repeat_and_differ():
    draws = [make_rng(seed, label).random(4) for seed, label in ((1, "a"), (1, "a"), (1, "b"))]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert torch_generator(1, "a").initial_seed() == torch_generator(1, "a").initial_seed()
    assert torch_generator(1, "a").initial_seed() != torch_generator(2, "a").initial_seed()


def test_progress_yields_everything_in_order():
    with quiet():
        assert list(progress(range(5), "counting")) == list(range(5))
    assert list(progress(iter("abc"), "letters")) == ["a", "b", "c"]


def test_a_page_is_one_file_and_escapes_what_it_is_given(tmp_path):
    page = Page("A <title>", "lead")
    frame = pd.DataFrame({"model": ["<script>"], "value": [0.12345]})
    page.section("One", paragraph("a & b"), cards([("12", "users")]), table(frame, best=[0]))
    text = page.save(tmp_path / "deep" / "page.html").read_text()
    assert "<script>" not in text and "&lt;script&gt;" in text and "a &amp; b" in text
    assert "0.1235" in text or "0.1234" in text
    assert "http" not in text
