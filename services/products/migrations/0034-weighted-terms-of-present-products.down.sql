-- Nothing to revert: weights do not change the matches of a search.
select 1;
