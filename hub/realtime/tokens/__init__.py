"""Who a client is: connection and subscription tokens."""
