alter table payments drop column buyer_id;
