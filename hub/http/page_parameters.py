"""What the query of a list takes: how many items, and from where on.

Apart from the pages themselves, which processes without HTTP make too.
"""

from typing import Annotated

from litestar.params import QueryParameter

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="Items per page.")]
Cursor = Annotated[
    str | None,
    QueryParameter(description="`next_cursor` of the page before, unchanged."),
]
