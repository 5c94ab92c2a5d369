drop index inbox_retried;
