-- Audits that administrators start. The pollers of all nodes advance the running one page by page.
create table audits (
	id uuid primary key,
	status text not null check (status in ('running', 'completed', 'failed')),
	since timestamptz,
	requested_by uuid not null,
	-- Where the next page begins; null before the first one.
	position text,
	total bigint,
	checked bigint not null default 0,
	skipped bigint not null default 0,
	violation_count bigint not null default 0,
	failure text,
	started_at timestamptz not null default now(),
	finished_at timestamptz,
	-- A node that works on a page has the lease. The attempt is the fencing token.
	lease_until timestamptz not null default now(),
	attempt int not null default 0,
	-- Attempts since the last page that was saved.
	tries int not null default 0
);
create unique index audits_running on audits (status) where status = 'running';

create table audit_violations (
	audit_id uuid not null references audits on delete cascade,
	position int not null,
	invariant text not null,
	subject text not null,
	detail text not null,
	primary key (audit_id, position)
);
