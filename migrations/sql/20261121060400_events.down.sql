DROP TABLE audit_log, consumer_tasks, outbox, events;
