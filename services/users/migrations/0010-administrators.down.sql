drop index users_administrators;
