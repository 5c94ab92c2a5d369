-- A change of a user's e-mail address: pending until the link mailed to the new address is used,
-- then done. For some days after the request, a link mailed to the old address undoes it.
create table email_changes (
	-- Assigned while the user's row is locked: the order of one user's changes.
	id bigint generated always as identity primary key,
	user_id uuid not null references users,
	old_email text not null,
	new_email text not null,
	pending boolean not null,
	-- SHA-256 of the tokens in the mailed links; null before the mail is sent, and after the link
	-- is revoked.
	confirm_hash bytea unique,
	undo_hash bytea unique,
	created_at timestamptz not null default now()
);
create index on email_changes (user_id, id);
create index on email_changes (old_email);
create index on email_changes (created_at);
