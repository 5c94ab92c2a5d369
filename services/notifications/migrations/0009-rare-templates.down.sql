drop index messages_rare_templates;
