"""How a ring's card is read."""


def normalize_claim_code(code: str) -> str:
    """Return a claim code as it is hashed: without blanks and hyphens, in capitals."""
    return code.replace(" ", "").replace("-", "").upper()
