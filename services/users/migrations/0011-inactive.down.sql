drop index users_inactive;
