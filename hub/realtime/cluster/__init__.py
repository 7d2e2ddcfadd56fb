"""How the hub's processes work as one."""
