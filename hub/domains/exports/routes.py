"""REST: one's address book as a file."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Request, get
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Schema,
)
from litestar.params import QueryParameter
from litestar.response import Stream

from hub.domains.contacts.service import Keys
from hub.domains.exports import service
from hub.domains.exports.schemas import ExportFormat
from hub.http.deps import WRITES, reading, resources, writing
from hub.http.problems import documented

_MEDIA_TYPES: Final[dict[ExportFormat, str]] = {
    "vcf": "text/vcard",
    "csv": "text/csv",
    "json": "application/json",
    "ics": "text/calendar",
}
FileFormat = Annotated[
    ExportFormat,
    QueryParameter(
        name="format",
        description="`vcf`: vCard 4; `csv`: Google's; `json`: as `phone_json` is imported; "
        "`ics`: birthdays.",
    ),
]
WithArchived = Annotated[
    bool, QueryParameter(name="with_archived", description="Also what is archived.")
]


@dataclass
class _FileOperation(Operation):
    """An operation that answers with a file in one of several formats."""

    def __post_init__(self) -> None:
        content = {
            media_type: OpenAPIMediaType(
                schema=Schema(
                    type=OpenAPIType.OBJECT if file_format == "json" else OpenAPIType.STRING
                )
            )
            for file_format, media_type in _MEDIA_TYPES.items()
        }
        self.responses = (self.responses or {}) | {
            "200": OpenAPIResponse(description="The file.", content=content)
        }


@get(
    "/contacts/export",
    # That it was taken out is on record.
    opt=WRITES,
    tags=["contacts"],
    operation_class=_FileOperation,
    responses=documented(),
)
async def export_contacts(
    request: Request[Any, Any, Any], file_format: FileFormat, with_archived: WithArchived = False
) -> Stream:
    """Return one's address book as a file, without oneself."""
    async with writing(request) as tx:
        await service.note(tx, file_format, with_archived=with_archived)
    house = resources(request)
    parts = service.write(
        lambda: reading(request),
        Keys(house.cipher, house.index_key),
        file_format,
        with_archived=with_archived,
    )
    return Stream(
        parts,
        media_type=_MEDIA_TYPES[file_format],
        headers={
            "Content-Disposition": f'attachment; filename="contacts.{file_format}"',
            "Cache-Control": "no-store",
        },
    )


EXPORT_ROUTES: Final = [export_contacts]
