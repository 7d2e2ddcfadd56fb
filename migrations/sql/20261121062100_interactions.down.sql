DROP TABLE interaction_participants, interactions;
