"""What people agreed to stands for good: published words are never edited."""

import hashlib
from pathlib import Path
from typing import get_args

import pytest

from hub.domains.consents.rules import TEXTS, current_version
from hub.domains.consents.schemas import Purpose

PUBLISHED = {
    ("ai_processing", 1): "58c34782da8396f3",
    ("analytics", 1): "cb194a3760042c47",
    ("calendar", 1): "370fa08e7d069641",
    ("contact_matching", 1): "748732f164712c5e",
    ("enrichment", 1): "ce80cd32860720c2",
    ("gmail", 1): "300130dea81a98a3",
    ("introductions", 1): "1d9babfd8f9c424a",
    ("linkedin", 1): "8e8f5796d82970ee",
    ("location", 1): "fb10c0e84894743e",
    ("marketing", 1): "5f0057ca54d8b168",
}


@pytest.mark.req("ACC-13")
def test_every_published_version_is_still_the_same_words() -> None:
    digests = {
        (purpose, number): hashlib.sha256(text.encode()).hexdigest()[:16]
        for purpose, texts in TEXTS.items()
        for number, text in enumerate(texts, start=1)
    }
    assert {place: digests.get(place) for place in PUBLISHED} == PUBLISHED
    assert set(digests) == set(PUBLISHED), "add the digest of a new version"


def test_every_purpose_has_words_to_ask_with() -> None:
    assert set(TEXTS) == set(get_args(Purpose))
    assert all(current_version(purpose) >= 1 for purpose in TEXTS)


def test_the_page_of_consents_names_every_purpose() -> None:
    page = Path("docs/privacy.md").read_text()
    assert [purpose for purpose in TEXTS if f"`{purpose}`" not in page] == []
