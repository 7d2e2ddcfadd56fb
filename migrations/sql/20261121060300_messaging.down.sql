DROP TABLE messages, conversation_members, conversations;
