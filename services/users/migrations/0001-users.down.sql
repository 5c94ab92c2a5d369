drop table verifications;
drop table users;
