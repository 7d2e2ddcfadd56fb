"""From one publication to every subscriber, without a gap."""
