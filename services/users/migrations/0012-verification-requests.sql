-- Time at which the user last requested a new link to verify the address.
alter table users add column verification_requested_at timestamptz;
