"""The client that @hey-api/openapi-ts makes of the document passes tsc's strict mode, and works."""

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.embedded import node
from tests import clients
from tests.fixtures.app import User

PROGRAM = Path(__file__).parent / "client.ts"
TSC = Path("node_modules/typescript/bin/tsc")
SETTINGS = {
    "compilerOptions": {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "module": "nodenext",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
        "outDir": "out",
    },
    "include": ["*.ts", "pinghub/**/*.ts"],
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the app, compiled together with a client that was made a moment ago."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copy(PROGRAM, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps(SETTINGS))
    clients.typescript(folder)
    checked = subprocess.run(
        [str(node.find()), str(TSC.resolve()), "--project", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    return folder / "out" / "client.js"


@pytest.mark.req("API-09")
@pytest.mark.req("CLI-04")
async def test_a_generated_client_signs_in_writes_pages_and_understands_refusals(
    program: Path, address: str, ada: User, grace: User
):
    app = await asyncio.create_subprocess_exec(
        node.find(),
        program,
        address,
        str(ada.id),
        str(grace.id),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    seen, said = await asyncio.wait_for(app.communicate(), 30)
    assert app.returncode == 0, said.decode()
    assert json.loads(seen) == {
        "user": "Ada Lovelace",
        "rings": 0,
        "texts": ["three", "two", "one"],
        "status": 404,
        "code": "conversation.not_found",
    }


def test_every_operation_is_a_function_of_the_client(program: Path):
    text = (program.parent.parent / "pinghub" / "sdk.gen.ts").read_text()
    assert set(re.findall(r"^export const (\w+) =", text, re.MULTILINE)) == clients.operation_ids()
