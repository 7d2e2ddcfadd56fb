"""Secrets are written whole, and for their owner only."""

import stat
from pathlib import Path

from hub.embedded.private import kept_password, owned_folder, write_private


def test_a_file_is_its_owners_whatever_stood_there_before(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    (tmp_path / "secret.new").write_text("left by a crash")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_its_owners(tmp_path: Path):
    folder = owned_folder(tmp_path / "home")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert owned_folder(folder) == folder


def test_a_password_is_generated_once(tmp_path: Path):
    first, other = kept_password(tmp_path / "first"), kept_password(tmp_path / "other")
    assert kept_password(tmp_path / "first") == first != other
    assert len(first) >= 32
