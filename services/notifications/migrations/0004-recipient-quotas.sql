-- Number of mails of a template that an address has received since `started_at`.
create table recipient_quotas (
	-- SHA-256 of the address. Addresses belong to the users service.
	recipient_hash bytea not null,
	template text not null,
	mails int not null,
	started_at timestamptz not null default now(),
	primary key (recipient_hash, template)
);
create index on recipient_quotas (started_at);

-- Whether the message was counted against the quota. Further attempts are not counted again.
alter table messages add column counted boolean not null default false;
