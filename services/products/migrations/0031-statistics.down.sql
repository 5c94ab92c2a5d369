-- Statistics do no harm.
select 1;
