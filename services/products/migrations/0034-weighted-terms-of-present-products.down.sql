-- Weights do no harm.
select 1;
