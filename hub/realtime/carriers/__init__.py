"""How clients reach the hub: each carrier reads frames for a connection and writes its own."""
