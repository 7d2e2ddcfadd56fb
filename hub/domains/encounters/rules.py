"""Pure rules of encounters: what of a card goes into an address book."""

from hub.domains.cards.schemas import Card
from hub.domains.contacts.schemas import NewContact, NewMethod


def contact_of(card: Card) -> NewContact:
    """Return the contact that a card tells of; its note stays with the touch."""
    methods = [
        *(NewMethod(kind="email", value=value) for value in card.emails),
        *(NewMethod(kind="phone", value=value) for value in card.phones),
        *(NewMethod(kind="url", value=value) for value in card.urls),
    ]
    return NewContact(
        full_name=card.full_name,
        company=card.company,
        job_title=card.job_title,
        source="ring",
        methods=methods,
    )
