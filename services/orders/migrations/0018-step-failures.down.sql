drop table step_failures;
