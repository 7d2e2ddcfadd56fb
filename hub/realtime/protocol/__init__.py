"""The client protocol without any I/O: messages, and one module per framing."""
