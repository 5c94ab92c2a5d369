-- Nothing to revert: the column is dropped with its migration.
select 1;
