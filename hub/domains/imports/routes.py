"""REST: files with contacts and interactions, what became of them, and the way back."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import FromPath, QueryParameter

from core.db import Tx
from core.errors import DomainError
from hub.domains.contacts.service import Keys
from hub.domains.import_receiving.service import receive
from hub.domains.imports import service
from hub.domains.imports.schemas import UPLOAD_MAX_BYTES, Format, Import, ImportRow, RowStatus
from hub.domains.imports.service import NewImport
from hub.http.auth import limited
from hub.http.deps import Connection, reading, resources, writing
from hub.http.idempotency import KEYED, Answer, RequiredKey, once, require_valid
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

FileFormat = Annotated[
    Format | None,
    QueryParameter(name="format", description="What the file is; found out if it is not said."),
]
FileName = Annotated[
    str | None,
    QueryParameter(
        name="name",
        min_length=1,
        max_length=200,
        pattern=r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)",
        description="What the person calls the file.",
    ),
]
DryRun = Annotated[
    bool, QueryParameter(name="dry_run", description="Only say what would become of it.")
]
Mapping = Annotated[
    str | None,
    QueryParameter(
        name="mapping",
        max_length=8000,
        description='Of `csv`: JSON like `{"Naam": "full_name", "Mail": "email"}`.',
    ),
]
WithStatus = Annotated[
    RowStatus | None, QueryParameter(name="status", description="Only what became of this.")
]
WithProblems = Annotated[
    bool,
    QueryParameter(name="with_problems", description="Only entries of which something is wrong."),
]


@dataclass
class _FileOperation(Operation):
    """An operation whose body is a file as it is."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        self.request_body = RequestBody(
            content={"application/octet-stream": file}, required=True, description="The file."
        )


@post(
    "/contacts/import",
    tags=["imports"],
    status_code=202,
    opt={**limited("import"), "any_media": True},
    # Whatever the file says it is, it is no body of ours in JSON.
    request_class=Request,
    request_max_body_size=UPLOAD_MAX_BYTES,
    operation_class=_FileOperation,
    responses=documented(
        *KEYED,
        "request.too_large",
        "import.empty",
        "import.not_this_format",
        "import.mapping_invalid",
        "import.busy",
    ),
)
async def import_contacts(  # noqa: PLR0917  # the parameters of the query, by name
    request: Request[Any, Any, Any],
    idempotency_key: RequiredKey,
    file_format: FileFormat = None,
    file_name: FileName = None,
    dry_run: DryRun = False,
    mapping: Mapping = None,
) -> Response[Import]:
    """Hand in a file of contacts, a calendar, mail or a telephone's log, as the body.

    Of up to 256 MiB, 16 MiB may stay without pictures and the bodies of mail, which are not kept. A
    worker brings it in; `import.progressed` on `sync:{user}` and GET /v1/imports/{id} say how far
    it is. The same file again brings in nothing twice.
    """
    require_valid(idempotency_key)
    columns = _mapping(mapping)
    upload = await receive(request.stream(), file_format, columns)
    new = NewImport(upload=upload, file_name=file_name, dry_run=dry_run, mapping=columns)

    async def effect(tx: Tx) -> Answer[Import]:
        made = await service.begin_import(tx, _keys(request), new)
        return Answer(made, status=202, location=f"/v1/imports/{made.id}")

    return await once(request, idempotency_key, effect, digest=upload.digest)


@get("/imports", tags=["imports"], responses=documented("request.cursor_invalid"))
async def list_imports(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Import]:
    """List one's imports, the latest first."""
    async with reading(request) as tx:
        return await service.list_imports(tx, limit=limit, cursor=cursor)


@get("/imports/{import_id:uuid}", tags=["imports"], responses=documented("import.not_found"))
async def get_import(request: Request[Any, Any, Any], import_id: FromPath[UUID]) -> Import:
    """Return an import and how far it is."""
    async with reading(request) as tx:
        return await service.get_import(tx, import_id)


@get(
    "/imports/{import_id:uuid}/rows",
    tags=["imports"],
    responses=documented("import.not_found", "request.cursor_invalid"),
)
async def list_import_rows(  # noqa: PLR0917  # the parameters of the query, by name
    request: Request[Any, Any, Any],
    import_id: FromPath[UUID],
    status: WithStatus = None,
    with_problems: WithProblems = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ImportRow]:
    """List what became of each entry of the file, or would, and what is wrong with it."""
    async with reading(request) as tx:
        return await service.list_rows(
            tx,
            _keys(request),
            import_id,
            status=status,
            with_problems=with_problems,
            limit=limit,
            cursor=cursor,
        )


@post(
    "/imports/{import_id:uuid}/start",
    tags=["imports"],
    status_code=200,
    responses=documented("import.not_found", "import.state_invalid"),
)
async def start_import(request: Request[Any, Any, Any], import_id: FromPath[UUID]) -> Import:
    """Bring in what a dry run has found."""
    async with writing(request) as tx:
        return await service.start(tx, import_id)


@post(
    "/imports/{import_id:uuid}/cancel",
    tags=["imports"],
    status_code=200,
    responses=documented("import.not_found", "import.state_invalid"),
)
async def cancel_import(request: Request[Any, Any, Any], import_id: FromPath[UUID]) -> Import:
    """Stop an import; what it has brought in stays until it is undone."""
    async with writing(request) as tx:
        return await service.cancel(tx, import_id)


@post(
    "/imports/{import_id:uuid}/undo",
    tags=["imports"],
    status_code=200,
    responses=documented("import.not_found", "import.state_invalid"),
)
async def undo_import(request: Request[Any, Any, Any], import_id: FromPath[UUID]) -> Import:
    """Take back what this import has made and nobody has changed since.

    Entries that stay have the status `kept`.
    """
    async with writing(request) as tx:
        return await service.undo(tx, import_id)


def _keys(connection: Connection) -> Keys:
    house = resources(connection)
    return Keys(house.cipher, house.index_key)


def _mapping(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        raise DomainError("import.mapping_invalid") from None


IMPORT_ROUTES: Final = [
    import_contacts,
    list_imports,
    get_import,
    list_import_rows,
    start_import,
    cancel_import,
    undo_import,
]
