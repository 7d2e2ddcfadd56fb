DROP TABLE identity_hashes;
