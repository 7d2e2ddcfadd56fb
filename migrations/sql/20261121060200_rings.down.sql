DROP TABLE rejected_taps, ring_taps, gateways, rings;
