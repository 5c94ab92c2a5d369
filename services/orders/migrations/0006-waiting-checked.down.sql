-- A valid constraint does no harm.
select 1;
