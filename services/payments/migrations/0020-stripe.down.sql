drop table stripe_attempts;
drop table stripe_intents;
