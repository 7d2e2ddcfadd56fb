DROP INDEX contacts_birthday_idx;
DROP TABLE nudge_mornings, nudges, health_snapshots, health_shards, relationship_health,
contact_relationship_types, relationship_types, circle_members, circles;
