DROP TABLE consent_history, consents;
