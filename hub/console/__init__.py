"""The console: static pages for developers and operators, live over the hub's own websocket."""

from hub.console.routes import console_routes

__all__ = ["console_routes"]
