drop index users_search;
