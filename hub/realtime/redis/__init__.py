"""Redis: streams, delivery and presence shared by many processes."""
