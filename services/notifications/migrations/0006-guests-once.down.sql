drop index messages_event_of_guest;
