"""One client's protocol state, without I/O."""
