"""The websocket protocol (RFC 6455, RFC 7692): frames, handshake and compression without I/O."""
