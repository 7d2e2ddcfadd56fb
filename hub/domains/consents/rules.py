"""The words that ask for each purpose. A version that was published is never edited or removed.

A later version says the same better. What asks for more is a purpose of its own: nobody's consent
ever grows.
"""

from collections.abc import Mapping
from typing import Final

from hub.domains.consents.schemas import Purpose

TEXTS: Final[Mapping[Purpose, tuple[str, ...]]] = {
    "ai_processing": (
        (
            "Artificial intelligence may read my notes, messages and contacts, to summarise them"
            " and to make suggestions to me, also at the provider that the operator names."
        ),
    ),
    "analytics": ("My use of the app may be counted in figures about all users, without my name.",),
    "calendar": ("My calendar may be read, to keep meetings with my contacts in my timeline.",),
    "contact_matching": (
        (
            "People who have my phone number or e-mail address may find me here, and I may find"
            " those whose numbers and addresses I have. It takes both sides' consent."
        ),
    ),
    "enrichment": (
        "Public sources may be asked about my contacts, to complete what I know of them.",
    ),
    "gmail": (
        "My mails at Google may be read, to keep the exchange with my contacts in my timeline.",
    ),
    "introductions": (
        (
            "Whoever looks for a way to somebody, over friends of friends in at most six steps, may"
            " be shown that it leads over me: that I know the one before and the one after me, if"
            " both agree to this too, and how well. I am named only to those who have me in their"
            " address book or may see my profile. My contacts who are not here themselves are"
            " never shown."
        ),
    ),
    "linkedin": ("My connections at LinkedIn may be read, to complete my contacts.",),
    "location": (
        (
            "The place at which my ring is tapped, or at which I am, may be kept and shown to me."
            " It is shown to others only where I say so."
        ),
    ),
    "marketing": (
        "I may be sent news about the product. Messages about my account come in any case.",
    ),
}


def current_version(purpose: Purpose) -> int:
    """Return the number of the words that are shown now, from 1."""
    return len(TEXTS[purpose])
