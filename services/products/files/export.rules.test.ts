import { expect, test } from "@jest/globals";
import { columnsOf, type ExportedProduct, toCells } from "./export.rules.ts";
import { emptyProduct } from "./product.rules.ts";

const exported = (fields: Partial<ExportedProduct>): ExportedProduct => ({
	...emptyProduct("SKU", (sku) => `id of ${sku}`),
	family: "id of SKU",
	parent_sku: null,
	stock: 0,
	...fields,
});

test("a product without an option or attribute of the file has a blank cell for it", () => {
	const names = ["size", "constructor", "toString", "__proto__"];
	const columns = columnsOf(names, names).filter((name) => /^(options|attributes)\./.test(name));
	const variant = exported({
		parent_id: "id of P",
		parent_sku: "P",
		options: { size: "M" },
		own_fields: ["attributes"],
		attributes: { size: "medium" },
	});
	const filled = toCells(variant, columns).map((cell, i) => [columns[i], cell]);
	expect(Object.fromEntries(filled)).toEqual({
		...Object.fromEntries(columns.map((name) => [name, ""])),
		"options.size": "M",
		"attributes.size": "medium",
	});
	expect(toCells(exported({}), columns)).toEqual(columns.map(() => ""));
});
