drop index products_listed_facets;
