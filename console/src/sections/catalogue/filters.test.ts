import { expect, test } from "@jest/globals";
import { categoryChoices, filtersOf } from "./filters.ts";

test.each([
	["", { sort: "-created_at" }],
	["q=%20red%20tea&page=2", { q: "red tea" }],
	["q=tea&sort=price", { q: "tea", sort: "price" }],
	["category=A/B&stock=false", { category: "A/B", in_stock: false, sort: "-created_at" }],
	["stock=true&sort=none", { in_stock: true, sort: "-created_at" }],
	["stock=toString", { sort: "-created_at" }],
])("the filters of %j are %j", (query: string, filters: object) => {
	expect(filtersOf(new URLSearchParams(query))).toEqual(filters);
});

test("categories are listed with their subcategories", () => {
	const knives = { name: "Knives", path: "Kitchen/Knives", count: 2, children: [] };
	const kitchen = { name: "Kitchen", path: "Kitchen", count: 5, children: [knives] };
	expect(categoryChoices([kitchen])).toEqual({
		Kitchen: "Kitchen (5)",
		"Kitchen/Knives": "Kitchen/Knives (2)",
	});
});
