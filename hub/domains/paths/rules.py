"""How sure a path is and what it says in words. Pure."""

import hashlib
from collections.abc import Sequence
from math import prod
from uuid import UUID

import msgspec

from hub.domains.paths.schemas import Hop, Step


def confidence(strengths: Sequence[float]) -> float:
    """Return how likely all on the way pass the word on: the product of the hops' strengths."""
    return round(prod(strengths), 6) if strengths else 0.0


def search_key(targets: Sequence[UUID], hops_max: int) -> bytes:
    """Return what is the same for searches that ask the same."""
    asked = msgspec.msgpack.encode([sorted(target.bytes for target in targets), hops_max])
    return hashlib.sha256(asked).digest()


def named(hop: Hop, contacts: dict[UUID, str], people: dict[UUID, str]) -> Step:
    """Return a hop with the name that the actor knows of them, from their own address book first.

    Who may not be seen has no id either: with it one could write to them, and so see them.
    """
    name = contacts.get(hop.contact_id) if hop.contact_id else None
    if name is None and hop.person_id is not None:
        name = people.get(hop.person_id)
    return Step(
        position=hop.position,
        contact_id=hop.contact_id,
        person_id=None if name is None else hop.person_id,
        name=name,
        strength=hop.strength,
    )


def explain(steps: Sequence[Step]) -> str:
    """Return a path in one sentence."""
    if not steps:
        return "Nobody whom you know leads there in so few hops."
    parts = [f"You know {_who(steps[0])}"]
    parts += [f"who knows {_who(step)}" for step in steps[1:]]
    return ", ".join(parts) + "."


def _who(step: Step) -> str:
    return f"{step.name or 'somebody'} ({round(step.strength * 100)} %)"
