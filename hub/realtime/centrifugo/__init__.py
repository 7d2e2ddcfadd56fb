"""Reading a Centrifugo v6 configuration."""
