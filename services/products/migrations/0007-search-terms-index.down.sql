drop index products_terms;
