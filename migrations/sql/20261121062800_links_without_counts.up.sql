-- How often two took part in something is counted when it is asked, by what the asker may see.
ALTER TABLE contact_links DROP COLUMN shared_interactions;
