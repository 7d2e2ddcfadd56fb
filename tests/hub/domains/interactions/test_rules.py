"""Where words stand in a text is shown in its own letters."""

from hypothesis import given
from hypothesis import strategies as st

from core.plain_text import plain_text
from hub.domains.interactions import rules
from hub.domains.interactions.schemas import Highlight

TEXTS = st.text(st.sampled_from("aàbBß \u017f.,-\nİ"), max_size=900)
WORDS = st.frozensets(st.sampled_from(["a", "b", "ab", "ba", "ss", "ß"]), max_size=4)


def shown(found: list[Highlight]) -> list[str]:
    """Return passages with their matches in brackets."""
    return [
        "".join(f"[{piece.text}]" if piece.is_match else piece.text for piece in item.pieces)
        for item in found
    ]


def test_words_are_found_whatever_their_case_and_accents() -> None:
    words = rules.words_of("CAFE munchen")
    assert shown(rules.highlight("subject", "Im Café, München.", words)) == [
        "Im [Café], [München]."
    ]


def test_marks_that_nobody_sees_part_no_words() -> None:
    found = rules.highlight("subject", "\u202eab\u200ccd\u202c ef", rules.words_of("\u200fabcd"))
    assert shown(found) == ["[\u202eab\u200ccd\u202c] ef"]


def test_what_a_search_is_to_be_without_is_not_shown() -> None:
    assert rules.words_of('coffee or "old tea" -milk -"brown sugar"') == {"coffee", "old", "tea"}


def test_far_apart_words_give_a_passage_each_and_no_more_than_three() -> None:
    text = ("x" * 30 + " ") * 5 + "ada " + ("y" * 30 + " ") * 5
    passages = shown(rules.highlight("content", text * 5, frozenset({"ada"})))
    assert len(passages) == rules.PASSAGES_MAX
    assert all(passage.count("[ada]") == 1 and len(passage) < 150 for passage in passages)


@given(TEXTS, WORDS)
def test_passages_are_parts_of_the_text_in_its_order_and_only_words_are_marked(
    text: str, words: frozenset[str]
) -> None:
    at = 0
    for item in rules.highlight("content", text, words):
        passage = "".join(piece.text for piece in item.pieces)
        found_at = text.find(passage, at)
        assert found_at >= at
        at = found_at + len(passage)
        assert all(plain_text(piece.text) in words for piece in item.pieces if piece.is_match)
        assert any(piece.is_match for piece in item.pieces)


def test_no_text_and_no_words_show_nothing() -> None:
    assert rules.highlight("content", None, frozenset({"a"})) == []
    assert rules.highlight("content", "a", frozenset()) == []
