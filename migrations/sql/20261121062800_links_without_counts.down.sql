ALTER TABLE contact_links
ADD COLUMN shared_interactions int NOT NULL DEFAULT 0 CHECK (shared_interactions >= 0);
