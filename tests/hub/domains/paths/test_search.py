"""The search among contacts and people finds what one finds that tries all ways."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final
from uuid import UUID

import pytest

from core import clock
from core.actor import Actor
from core.db import Pool, begin
from core.ids import UserId, new_id
from hub.domains.paths import rules, service
from hub.domains.paths.schemas import FindPath, PathFound, Step
from tests.fixtures.world import create_user

GRAPHS: Final = 25
CONTACTS: Final = 12
PEOPLE: Final = 6
NOW: Final = clock.now()
STRENGTHS: Final = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
FRIEND: Final = 0.6


@dataclass(frozen=True)
class Card:
    """A contact of the user."""

    id: UUID
    name: str
    strength: float
    person: UUID | None
    is_archived: bool


@dataclass
class Graph:
    """All that ways may lead over, as the tables have it."""

    user: UUID
    people: dict[UUID, str]
    cards: dict[UUID, Card] = field(default_factory=dict[UUID, Card])
    links: dict[frozenset[UUID], float] = field(default_factory=dict[frozenset[UUID], float])
    friends: set[frozenset[UUID]] = field(default_factory=set[frozenset[UUID]])
    known: dict[tuple[UUID, UUID], float] = field(default_factory=dict[tuple[UUID, UUID], float])
    """In whose address book somebody else of these people stands."""
    blocks: set[frozenset[UUID]] = field(default_factory=set[frozenset[UUID]])
    willing: set[UUID] = field(default_factory=set[UUID])
    closed: set[UUID] = field(default_factory=set[UUID])

    def person(self, node: UUID) -> UUID | None:
        return self.cards[node].person if node in self.cards else node

    def nodes(self) -> list[UUID]:
        live = [card for card in self.cards.values() if not card.is_archived]
        return [card.id for card in live] + [*(self.people.keys() - {card.person for card in live})]

    def first(self, node: UUID) -> float:
        """Say how strongly the user knows somebody; 0: not at all."""
        own = self.cards[node].strength if node in self.cards else 0.0
        person = self.person(node)
        is_friend = person is not None and frozenset({self.user, person}) in self.friends
        return max(own if own >= 0.1 else 0.0, FRIEND if is_friend else 0.0)

    def hop(self, one: UUID, other: UUID) -> float:
        """Say how strongly somebody leads on to somebody else; 0: not at all."""
        link = self.links.get(frozenset({one, other}), 0.0)
        return max(link if link >= 0.1 else 0.0, self._acquaintance(one, other))

    def _acquaintance(self, one: UUID, other: UUID) -> float:
        who, whom = self.person(one), self.person(other)
        if who is None or whom is None or who == whom:
            return 0.0
        pairs = (frozenset(pair) for pair in ((who, whom), (who, self.user), (whom, self.user)))
        if not {who, whom} <= self.willing - self.closed or any(p in self.blocks for p in pairs):
            return 0.0
        known = self.known.get((who, whom), 0.0)
        is_friend = frozenset({who, whom}) in self.friends
        return max(known if known >= 0.1 else 0.0, FRIEND if is_friend else 0.0)

    def name(self, node: UUID) -> str | None:
        """Return what the user may call somebody: the profile of who is no friend is not shown."""
        if node in self.cards:
            return self.cards[node].name
        is_friend = frozenset({self.user, node}) in self.friends
        return self.people[node] if is_friend else None

    def ways(self, target: UUID, hops_max: int) -> Iterator[list[UUID]]:
        """Yield all ways of the fewest hops, by trying all."""
        nodes = self.nodes()
        leads = {one: [o for o in nodes if o != one and self.hop(one, o)] for one in nodes}
        begun = [[one] for one in nodes if self.first(one)]
        for _ in range(hops_max):
            if found := [way for way in begun if way[-1] == target]:
                yield from found
                return
            begun = [[*way, node] for way in begun for node in leads[way[-1]] if node not in way]

    def strengths(self, way: list[UUID]) -> list[float]:
        return [self.first(way[0]), *(self.hop(*pair) for pair in itertools.pairwise(way))]


def draw(dice: random.Random, user: UUID, people: dict[UUID, str]) -> Graph:
    graph = Graph(user, people)
    ids = [*people]
    unknown = [0.0] * dice.choice((10, 50, 200))
    for at in range(CONTACTS):
        card = Card(
            new_id(),
            f"Contact {at}",
            dice.choice((*STRENGTHS, *unknown)),
            dice.choice(ids) if dice.random() < 0.4 else None,
            dice.random() < 0.2,
        )
        graph.cards[card.id] = card
    # In a row, so that some ways are long, and here and there across.
    row = [pair for pair in itertools.pairwise(graph.cards) if dice.random() < 0.8]
    across = [dice.sample([*graph.cards], 2) for _ in range(dice.choice((2, 5, 20)))]
    for pair in (*row, *across):
        graph.links[frozenset(pair)] = dice.choice(STRENGTHS)
    for _ in range(dice.choice((3, 9, 15))):
        graph.friends.add(frozenset(dice.sample([user, *ids, *ids], 2)))
        one, other = dice.sample([*ids, user], 2)
        if one != user:
            graph.known[one, other] = dice.choice(STRENGTHS)
    graph.friends = {pair for pair in graph.friends if len(pair) == 2}
    for _ in range(dice.randrange(3)):
        graph.blocks.add(frozenset(dice.sample(ids, 2)))
        graph.blocks.add(frozenset({user, dice.choice(ids)}))
    graph.willing = {one for one in ids if dice.random() < 0.75}
    graph.closed = {one for one in ids if dice.random() < 0.15}
    return graph


async def store(admin: Any, graph: Graph) -> None:
    # Without triggers: what is drawn is what is searched, also what they would tidy away.
    await admin.execute("SET session_replication_role = replica")
    await admin.copy_records_to_table(
        "contacts",
        columns=("id", "user_id", "full_name", "strength", "linked_user_id", "archived_at"),
        records=[
            (c.id, graph.user, c.name, c.strength, c.person, NOW if c.is_archived else None)
            for c in graph.cards.values()
        ]
        + [
            (new_id(), one, "As they call them", strength, other, None)
            for (one, other), strength in graph.known.items()
        ],
    )
    await admin.copy_records_to_table(
        "contact_links",
        columns=("user_id", "contact_a_id", "contact_b_id", "kind", "strength"),
        records=[(graph.user, *sorted(pair), "other", s) for pair, s in graph.links.items()],
    )
    both = [tuple(pair) for pair in graph.friends]
    await admin.copy_records_to_table(
        "friendships",
        columns=("user_id", "friend_id", "source"),
        records=[
            (*pair, "ring_tap") for one, other in both for pair in ((one, other), (other, one))
        ],
    )
    await admin.copy_records_to_table(
        "blocks", columns=("user_id", "blocked_id"), records=[tuple(pair) for pair in graph.blocks]
    )
    await admin.copy_records_to_table(
        "consents",
        columns=(
            "user_id",
            "purpose",
            "granted",
            "text_version",
            "source",
            "granted_at",
            "withdrawn_at",
        ),
        records=[
            (one, "introductions", is_willing, 1, "settings", NOW, None if is_willing else NOW)
            for one in graph.people
            for is_willing in [one in graph.willing]
        ],
    )
    await admin.execute(
        "UPDATE users SET deleted_at = now() WHERE id = ANY($1::uuid[])", [*graph.closed]
    )
    await admin.execute("SET session_replication_role = origin")


def explained(graph: Graph, way: list[UUID]) -> str:
    """Say in words what the model takes for a way; the words have a test of their own."""
    return rules.explain(
        [
            Step(at, None, None, graph.name(node), strength)
            for at, (node, strength) in enumerate(zip(way, graph.strengths(way), strict=True), 1)
        ]
    )


def check(graph: Graph, target: UUID, hops_max: int, found: PathFound) -> None:
    ways = [*graph.ways(target, hops_max)]
    sureness = {prod(graph.strengths(way)): way for way in ways}
    if not sureness:
        assert not found.found
        return
    best = max(sureness)
    assert found.length == len(ways[0])
    assert found.confidence == pytest.approx(best, abs=1e-6)
    equal = [way for way in ways if prod(graph.strengths(way)) == pytest.approx(best)]
    assert found.explanation in {explained(graph, way) for way in equal}
    # Whoever has not agreed to be on a way is here as a contact of the user, and no more.
    assert {step.person_id for step in found.steps} <= {None, *graph.willing} - graph.closed
    assert [step.contact_id for step in found.steps] in [
        [node if node in graph.cards else None for node in way] for way in equal
    ]


@pytest.mark.req("GOL-03")
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 20))]
)
async def test_every_graph_has_the_way_that_is_found_by_trying_all(
    admin: Any, api_pool: Pool, seed: int
) -> None:
    dice = random.Random(seed)
    lengths: set[int] = set()
    for _ in range(GRAPHS):
        user = await create_user(admin, "Ada")
        people = {await create_user(admin, name): name for name in (f"P{n}" for n in range(PEOPLE))}
        graph = draw(dice, user, people)
        await store(admin, graph)
        here = [card.id for card in graph.cards.values() if not card.is_archived]
        for target in dice.sample(here, min(6, len(here))):
            hops_max = dice.choice((1, 2, 3, 4, 5, 6, 6, 6, 6))
            async with begin(api_pool, Actor(kind="user", user_id=UserId(user))) as tx:
                asked = FindPath(target_contact_id=target, hops_max=hops_max)
                found = await service.find_path(tx, asked)
            check(graph, target, hops_max, found)
            lengths.add(found.length)
    assert lengths >= set(range(4))
