-- Trigrams find a part of an address or name. pg_trgm is a trusted extension, which the owner of
-- the database may create.
create extension if not exists pg_trgm;
