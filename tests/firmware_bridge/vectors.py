"""Reads the golden vectors that firmware authors run against."""

import json
from pathlib import Path
from typing import Any

import firmware_bridge

FOLDER = Path(firmware_bridge.__file__).parent / "vectors"


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())
