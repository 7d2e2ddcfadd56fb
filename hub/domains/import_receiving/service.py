"""What an import takes of a file, while it comes in: what it is, and what of it is kept."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from msgspec import Struct

from core.errors import DomainError
from hub.domains.imports.formats import detection, slimming, text
from hub.domains.imports.formats.found import Format
from hub.domains.imports.formats.spreadsheets import FIELDS
from hub.domains.imports.schemas import FILE_MAX_BYTES

_COLUMNS_MAX: Final = 100
# Zeros of UTF-16 are at the beginning already.
_WIDE_BYTES: Final = 512


class Upload(Struct, frozen=True, kw_only=True):
    """What is kept of a file that was sent; `file_bytes` and `digest` are of the whole."""

    format: Format
    data: bytes
    file_bytes: int
    digest: bytes


async def receive(
    pieces: AsyncIterator[bytes], said: Format | None, mapping: Mapping[str, str]
) -> Upload:
    """Take a file as it comes in, and hold of it what an import needs.

    Raises import.empty, import.not_this_format, import.mapping_invalid, request.too_large.
    """
    try:
        return await _received(pieces, said, mapping)
    except DomainError:
        # Who is still sending would not hear it.
        async for _ in pieces:
            pass
        raise


async def _received(
    pieces: AsyncIterator[bytes], said: Format | None, mapping: Mapping[str, str]
) -> Upload:
    head = b""
    async for piece in pieces:
        head += piece
        if len(head) >= detection.HEAD_BYTES:
            break
    file_format = _format_of(head[: detection.HEAD_BYTES], said, mapping)
    slimmer = slimming.slimmer_of(file_format, head[:_WIDE_BYTES])
    kept = bytearray(slimmer.feed(head))
    file_bytes, digest = len(head), hashlib.sha256(head)
    async for piece in pieces:
        file_bytes += len(piece)
        digest.update(piece)
        kept += slimmer.feed(piece)
        if len(kept) > FILE_MAX_BYTES:
            raise DomainError("request.too_large")
    kept += slimmer.end()
    return Upload(
        format=file_format, data=bytes(kept), file_bytes=file_bytes, digest=digest.digest()
    )


def _format_of(head: bytes, said: Format | None, mapping: Mapping[str, str]) -> Format:
    text.require_text(head)
    file_format = said or ("csv" if mapping else None)
    is_mapped = 1 <= len(mapping) <= _COLUMNS_MAX and set(mapping.values()) <= FIELDS
    if (file_format == "csv") != bool(mapping) or (mapping and not is_mapped):
        raise DomainError("import.mapping_invalid")
    if file_format == "csv":
        return file_format
    seen = detection.detect(head)
    if seen not in {None, file_format or seen}:
        raise DomainError("import.not_this_format", f"It looks like `{seen}`.")
    found = file_format or seen
    if found is None:
        raise DomainError(
            "import.not_this_format", "Say its `format`; of other CSV files, send a `mapping`."
        )
    return found
