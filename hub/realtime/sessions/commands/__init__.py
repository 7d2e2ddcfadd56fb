"""The commands of the client protocol: functions over a session, without I/O."""
