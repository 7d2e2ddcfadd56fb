"""What the hub takes for the same words, the database takes for the same."""

from typing import Any

from core.plain_text import plain_text

TEXTS = {
    "Ádá LOVELACE": "ada lovelace",
    "Σοφίας ΣΟΦΊΑΣ": "σοφιασ σοφιασ",
    "Strauß-Møller": "strauß-møller",
    "\u202eGr\u200bace\u202c": "grace",
    # Persian, with the mark that parts what is one word.
    "\u0645\u06cc\u200c\u062e\u0648\u0627": "\u0645\u06cc\u062e\u0648\u0627",
    "\ufb01ance\u0301 \u2460 \u338f \uff46ull": "fiance 1 kg full",
    "a\u034fb\ufeff": "ab",
    "Zusammen\u00adarbeit": "zusammenarbeit",
    "\U0001f469\u200d\U0001f680": "\U0001f469\U0001f680",
}


async def test_a_text_is_plain_alike_here_and_there(admin: Any) -> None:
    for text, plain in TEXTS.items():
        assert plain_text(text) == plain
        assert await admin.fetchval("SELECT app.plain_text($1)", text) == plain
