-- Guests have no user. The address of a guest is in `data` until the message is sent.
alter table messages alter column user_id drop not null;
