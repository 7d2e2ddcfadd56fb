"""The HTTP door for application servers: `POST /api/…` in the shapes of Centrifugo's server API.

JSON in and out over `hub.realtime.operations`; nothing is decided here but who may come in.
"""
