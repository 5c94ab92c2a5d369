-- For searches by a part of an address or name. A trusted extension, which the owner of the database creates.
create extension if not exists pg_trgm;
