drop index orders_stuck;
drop index outbox_subject;
