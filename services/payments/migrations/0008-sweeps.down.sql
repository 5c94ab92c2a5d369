alter table payments drop column reversal_at, drop column check_at, drop column checks;
alter table refunds drop column next_at, drop column attempts;
