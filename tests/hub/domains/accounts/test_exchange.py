"""Exchanges of refresh tokens in any order, held up to a model of what they ought to answer."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.db import Pool, begin
from hub.domains.accounts import service as accounts
from tests.fixtures.app import Running, User, user_actor

WAIT = -1
# The nth token before the newest one is used, or the grace passes.
steps = st.lists(st.sampled_from((WAIT, 0, 0, 1, 1, 2, 3)), min_size=1, max_size=9)


class Family:
    """The model: every token of a sign-in session, and whether the newest one's parent is fresh."""

    def __init__(self, first: str) -> None:
        self.tokens = [first]
        self.is_fresh = False
        self.has_ended = False

    def use(self, back: int, given_out: str | None) -> None:
        """Compare what using a token gave out with what it should have."""
        if not self.has_ended and back == 0:
            assert given_out is not None
            assert given_out not in self.tokens
            self.tokens.append(given_out)
            self.is_fresh = True
        elif not self.has_ended and back == 1 and self.is_fresh:
            assert given_out == self.tokens[-1]
        else:
            assert given_out is None
            self.has_ended = True


@given(taken=steps)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_only_the_parent_and_only_at_once_gets_the_answer_again(
    hub: Running, ada: User, system_pool: Pool, taken: list[int]
) -> None:
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        family = Family((await accounts.open_session(tx, lifetime_seconds=3600)).refresh_token)
    for back in taken:
        if back == WAIT:
            await pass_grace(system_pool)
            family.is_fresh = False
        elif back < len(family.tokens):
            family.use(back, await exchange(hub, ada, family.tokens[-1 - back]))
        assert await live(system_pool, family.tokens[0]) == (0 if family.has_ended else 1)


async def exchange(hub: Running, user: User, token: str) -> str | None:
    async with begin(hub.resources.api, user_actor(user.id)) as tx:
        session = await accounts.find_session(tx, token)
        opened = await accounts.rotate_session(
            tx, session, token, lifetime_seconds=3600, key=hub.resources.index_key
        )
    return opened.refresh_token if isinstance(opened, accounts.OpenedSession) else None


async def pass_grace(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE sessions SET revoked_at = revoked_at - interval '10 s'"
            " WHERE revoked_because = 'exchanged'"
        )


async def live(pool: Pool, first: str) -> int:
    """Return how many refresh tokens of a sign-in session work."""
    async with pool.connection() as connection:
        return await connection.fetchval(
            """SELECT count(*) FROM sessions AS first JOIN sessions AS s USING (family_id)
            WHERE first.token_hash = sha256($1) AND s.revoked_at IS NULL""",
            first.encode(),
        )
