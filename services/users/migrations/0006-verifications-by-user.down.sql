drop index verifications_user;
