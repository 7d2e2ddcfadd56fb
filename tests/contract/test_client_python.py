"""The client that openapi-python-client makes of the document works, types, paging and all."""

import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from tests import clients
from tests.fixtures.app import User

MODULES = {
    "top": "",
    "models": ".models",
    "types": ".types",
    "accounts": ".api.accounts.sign_in_for_development",
    "rings": ".api.rings.list_rings",
    "conversations": ".api.messaging.open_conversation",
    "conversation": ".api.messaging.get_conversation",
    "send": ".api.messaging.send_message",
    "messages": ".api.messaging.list_messages",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Return the modules of a client that was made a moment ago."""
    folder = tmp_path_factory.mktemp("client")
    clients.python(folder)
    sys.path.insert(0, str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        modules = {
            name: importlib.import_module(f"{clients.PACKAGE}{path}")
            for name, path in MODULES.items()
        }
    yield SimpleNamespace(**modules)
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith(clients.PACKAGE)]:
        del sys.modules[name]


@pytest.mark.req("API-09")
@pytest.mark.req("CLI-04")
async def test_a_generated_client_signs_in_writes_pages_and_understands_refusals(
    made: SimpleNamespace, address: str, ada: User, grace: User
):
    signed_in = await made.accounts.asyncio(
        client=made.top.Client(base_url=address),
        body=made.models.DevelopmentSignIn(user_id=ada.id),
    )
    assert signed_in.user.full_name == "Ada Lovelace"
    assert signed_in.user.role is made.models.Role.USER
    async with made.top.AuthenticatedClient(address, signed_in.access_token) as client:
        page = await made.rings.asyncio(client=client)
        assert (page.items, page.has_more, page.next_cursor) == ([], False, None)
        opened = await made.conversations.asyncio(
            client=client, body=made.models.OpenConversation(partner_id=grace.id)
        )
        for text in ("one", "two", "three"):
            sent = await made.send.asyncio(
                opened.id,
                client=client,
                body=made.models.NewMessage(body=text),
                idempotency_key=str(uuid4()),
            )
            assert sent.sender_id == ada.id
            assert sent.created_at.tzinfo is not None
        assert await _texts_of_all_pages(made, client, opened.id) == ["three", "two", "one"]
        refused = await made.conversation.asyncio_detailed(uuid4(), client=client)
        assert refused.status_code == 404
        assert isinstance(refused.parsed, made.models.Problem)
        assert refused.parsed.code == "conversation.not_found"


async def _texts_of_all_pages(made: SimpleNamespace, client, conversation_id) -> list[str]:
    texts, cursor = [], made.types.UNSET
    while cursor is not None:
        page = await made.messages.asyncio(conversation_id, client=client, limit=1, cursor=cursor)
        texts += [message.body for message in page.items]
        cursor = page.next_cursor
    return texts


def test_every_operation_is_a_function_of_the_client(made: SimpleNamespace):
    """The generator leaves out, with a warning, what it does not understand."""
    folder = Path(made.top.__file__).parent / "api"
    functions = {path.stem for path in folder.glob("*/*.py")} - {"__init__"}
    assert functions == {snake(name) for name in clients.operation_ids()}


def snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
