"""SQL of certificates and claim codes of gateways."""

from datetime import datetime

from core.db import query

new_code = query(datetime, "SELECT app.new_gateway_code($1, $2, $3)")

revoke = query(str, "SELECT app.revoke_gateway($1)::text")
