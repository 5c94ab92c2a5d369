drop index retries_subject;
