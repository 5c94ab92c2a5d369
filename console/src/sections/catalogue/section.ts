import type { Section } from "../../section.ts";
import { EditProduct } from "./edit-product.tsx";
import { ImportPage } from "./import-page.tsx";
import { NewProduct, NewVariant } from "./new-product.tsx";
import { ProductList } from "./product-list.tsx";
import { ProductPage } from "./product-page.tsx";

export const catalogue: Section = {
	title: "Catalogue",
	pages: {
		"/products": ProductList,
		"/products/new": NewProduct,
		"/products/import": ImportPage,
		"/products/:id": ProductPage,
		"/products/:id/edit": EditProduct,
		"/products/:id/new-variant": NewVariant,
	},
};
