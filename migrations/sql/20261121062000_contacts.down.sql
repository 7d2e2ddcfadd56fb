DROP TABLE contact_distinctions, contact_merges, contact_links, interests, contact_methods, contacts;
