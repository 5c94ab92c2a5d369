drop index outbox_subject;
