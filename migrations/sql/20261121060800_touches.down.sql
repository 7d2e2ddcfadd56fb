ALTER TABLE ring_taps ADD COLUMN partner_contact bytea;
DROP INDEX ring_taps_touch_idx;
DROP TABLE touches;
DROP TABLE friendships;
DROP TABLE blocks;
DROP TABLE contact_cards;
