drop table audit_violations;
drop table audits;
