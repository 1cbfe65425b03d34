"""Texts: tokenisers, term lists, canonical ids and queries."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.events.reading.identifiers import NOT_AN_ID, canonical_ids
from sargraph.events.reading.recipe_fields import TermsColumn
from sargraph.events.reading.tokens import characters
from sargraph.events.text import Query, as_set, canonical_id, normalise, parse_terms

LIST_OF_IDS = TermsColumn(column=("x",), tokens="ids", list="json")


@pytest.mark.parametrize(
    ("raw", "how", "expected"),
    [
        ("  Red\tSHOES ", {}, ["red", "shoes"]),
        ("Cafe\u0301", {}, ["caf\u00e9"]),
        ("noodle \U0001f35c", {}, ["noodle", "\U0001f35c"]),
        ("nan", {}, ["nan"]),
        ("Will Ferrell", {"tokens": "tag"}, ["will ferrell"]),
        ("a|b", {"tokens": "tag"}, ["a/b"]),
        ("Sci-Fi|Film Noir|", {"tokens": "tag", "list": "|"}, ["sci-fi", "film noir"]),
        ("红色手机", {"tokens": "characters"}, ["红", "红色", "色", "色手", "手", "手机", "机"]),
        ("iPhone手机 壳", {"tokens": "characters"}, ["iphone", "手", "手机", "机", "壳"]),
        ("かに 3kg", {"tokens": "characters"}, ["か", "かに", "に", "3kg"]),
        ("\u200b \ufeff", {}, []),
        ("\u200d", {}, []),
        ("sho\u00ades", {}, ["shoes"]),
        ("\u202eabc\u202c", {}, ["abc"]),
        ("\U0001f469\u200d\U0001f467", {}, ["\U0001f469\u200d\U0001f467"]),
        ("(none)", {"tokens": "tag", "list": "|", "missing": ("(none)",)}, []),
        ("[20, 34, 3]", {"tokens": "ids", "list": "json"}, ["20", "34", "3"]),
        ('["a b", 7.0]', {"tokens": "ids", "list": "json"}, ["a_b", "7"]),
        ("13", {"tokens": "ids"}, ["13"]),
        ("Funny", {"tokens": "tag", "prefix": "category:"}, ["category:funny"]),
        ("", {"list": "json"}, []),
        ("   ", {}, []),
        (None, {"list": "json"}, []),
    ],
)
def test_terms(raw: str | None, how: dict, expected: list[str]) -> None:  # type: ignore[type-arg]
    assert parse_terms(raw, TermsColumn(column=("x",), **how)) == (expected, True)


@pytest.mark.parametrize(
    "raw", ["[1, 2", "{}", "7", "[[1]]", "[null]", "[NaN]", "[true]", "[" * 100_000]
)
def test_lists_that_cannot_be_read_give_no_terms_and_say_so(raw: str) -> None:
    assert parse_terms(raw, LIST_OF_IDS) == ([], False)


def test_a_huge_word_is_cut() -> None:
    assert parse_terms("x" * 10**6, TermsColumn(column=("x",))) == (["x" * 100], True)


@settings(deadline=None)
@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "  " not in once and once == once.strip()


@settings(deadline=None)
@given(st.one_of(st.text(), st.from_regex(r"\s?[+-]?[0-9]{1,4}\.0{0,3}\s?", fullmatch=True)))
def test_ids_have_one_spelling_whichever_way_they_are_read(text: str) -> None:
    expected: str | None = canonical_id(text)
    if unicodedata.normalize("NFC", text.strip()).lower() in NOT_AN_ID:
        expected = None
    # A column may meet white space that Python knows and Arrow does not, and the other way round.
    if all(c.isprintable() for c in text):
        assert canonical_ids(pa.array([text])).to_pylist() == [expected]


def test_ids_written_as_floats_are_whole_and_leading_zeros_stay() -> None:
    raw = pa.array(["7", "7.0", " 7 ", "007", "7.5", "-3.00", "1e5"])
    assert canonical_ids(raw).to_pylist() == ["7", "7", "7", "007", "7.5", "-3", "1e5"]


def test_query_ids_are_their_terms_and_sets_have_one_order() -> None:
    assert Query(("red", "shoes")).id == "red shoes"
    assert as_set(["b", "a", "b"]) == as_set(["a", "b"])
    assert as_set(["b", "a"]).id == "a|b"
    assert as_set(["2", "10"]).name({"2": "rock", "10": "pop"}.__getitem__) == "pop, rock"


def _is_cjk(letter: str) -> bool:
    names = (
        "CJK UNIFIED",
        "CJK COMPAT",
        "HIRAGANA",
        "KATAKANA",
        "HANGUL SYLLABLE",
        "HALFWIDTH KATA",
    )
    return unicodedata.name(letter, "").startswith(names)


def _naive_characters(text: str) -> list[str]:
    """Go through the letters of each word, looking one ahead."""
    terms: list[str] = []
    for word in text.split():
        other = ""
        for letter, after in zip(word, [*word[1:], ""], strict=True):
            if not _is_cjk(letter):
                other += letter
            else:
                terms += ([other] if other else []) + [letter]
                other = ""
                if after and _is_cjk(after):
                    terms.append(letter + after)
        terms += [other] if other else []
    return terms


@settings(deadline=None)
@given(st.text(st.sampled_from("ab7- 红色手机壳かなカ한국𠮷豈\U0001f35cé"), max_size=30))
def test_queries_without_spaces_are_cut_into_characters_and_pairs(text: str) -> None:
    column = TermsColumn(column=("x",), tokens="characters")
    assert parse_terms(text, column) == (_naive_characters(normalise(text)), True)


@pytest.mark.parametrize("tokens", ["whitespace", "ids", "tag", "characters"])
@pytest.mark.parametrize(
    "raw", ["", " \t\n", "\u3000", "\x00", "x" * 10**6, "\U0001f35c" * 500, "壳" * 10**5, "NULL"]
)
def test_empty_whitespace_huge_and_emoji_queries(tokens: str, raw: str) -> None:
    terms, is_readable = parse_terms(
        raw, TermsColumn.model_validate({"column": "x", "tokens": tokens})
    )
    assert is_readable
    assert all(term and not term.isspace() for term in terms)
    assert tokens == "ids" or all(len(term) <= 100 for term in terms)


@pytest.mark.parametrize(
    "text", ["红色手机", "手机 case", "a 红", "好好的靴子 x 红色", "red shoes"]
)
def test_a_query_cut_into_characters_is_read_as_it_was_typed(text: str) -> None:
    assert Query(tuple(characters(text))).name(lambda term: term) == text


@pytest.mark.parametrize("terms", [("1", "12", "2"), ("a", "ab", "b"), ("20", "34", "3")])
def test_terms_of_other_tokenisers_are_not_joined(terms: tuple[str, ...]) -> None:
    assert Query(terms).name(lambda term: term) == " ".join(terms)
