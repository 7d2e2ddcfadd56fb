"""The request whose JSON is read in one way only, as `strict_json` has it."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import ValidationException

from hub.http import strict_json


class StrictRequest(Request[Any, Any, Any]):
    """Refuses a body once it is there, before anybody decodes it."""

    _is_checked = False

    async def body(self) -> bytes:
        """Return the body of the request, or raise request.malformed."""
        body = await super().body()
        if not self._is_checked:
            if self.content_type[0] == "application/json":
                strict_json.check(body)
            self._is_checked = True
        return body

    async def json(self) -> Any:  # noqa: ANN401  # whatever the handler asks for
        """Return the body as what its handler asks for, or raise ValidationException.

        Litestar converts it as it does parameters, which takes 0 for false and "null" for null.
        """
        value = await super().json()
        data = self.route_handler.parsed_fn_signature.parameters.get("data")
        if data is None:
            return value
        try:
            return msgspec.convert(value, data.annotation)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$")
            field = path.rstrip("`").lstrip(".")
            fault = {"message": message, "key": field or "data", "source": "body"}
            raise ValidationException(extra=[fault]) from None
