lock: $(VENV)/installed-dev ## rewrite the lock files from pyproject.toml
