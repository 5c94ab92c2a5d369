import { describe, expect, test } from "@jest/globals";
import {
	attributeRows,
	differences,
	inputOf,
	type Product,
	readFields,
	readOptionNames,
	readOptions,
	withInherited,
} from "./product-values.ts";

const product = {
	id: "1",
	name: "Mug",
	description: null,
	price: 5,
	currency: "EUR",
	category: "Kitchen",
	sku: null,
	attributes: { color: ["red", "blue"], weight: 300, vegan: true, note: "12" },
	images: [{ url: "/a.svg", alt: "" }],
	variants: [],
} as unknown as Product;

/** Form with the fields of a product. */
function formOf({ name, price, currency, category, attributes, images }: Product): FormData {
	const values = new FormData();
	const set = (row: object, prefix = "") => {
		for (const [field, value] of Object.entries(row)) values.set(prefix + field, String(value));
	};
	set({ name: ` ${name} `, description: "", price, currency, category, sku: "" });
	attributeRows(attributes).forEach((row, i) => {
		set(row, `attributes[${i}].`);
	});
	images.forEach((row, i) => {
		set(row, `images[${i}].`);
	});
	return values;
}

describe("the form of a product", () => {
	test("has all its fields, and attributes of every type", () => {
		const { id: _, variants: __, ...fields } = product;
		expect(readFields(formOf(product))).toEqual(fields);
	});

	test.each([
		[["red", "blue"], "red|blue"],
		[["S|M", "L"], '["S|M","L"]'],
		[["["], "["],
		[['["a"]', "b"], '["a"]|b'],
		[['["a"]'], '["[\\"a\\"]"]'],
		[[" a", ""], '[" a",""]'],
	])("keeps the list %j as %s", (list, text) => {
		const attributes = { sizes: list };
		expect(attributeRows(attributes)).toEqual([{ name: "sizes", kind: "list", value: text }]);
		expect(readFields(formOf({ ...product, attributes })).attributes).toEqual(attributes);
	});

	test("rejects a second attribute with the same name at its name", () => {
		const values = formOf(product);
		values.set("attributes[2].name", " color ");
		const errors = [
			{
				field: "attributes[2].name",
				code: "DUPLICATE_ATTRIBUTE",
				message: "Row 1 has the same name",
			},
		];
		expect(() => readFields(values)).toThrow(
			expect.objectContaining({ detail: "Two attributes have the same name", errors }),
		);
	});

	test("shows the errors of attributes and option names at their inputs", () => {
		const values = formOf(product);
		expect(inputOf(values, "attributes.weight")).toBe("attributes[1].value");
		expect(inputOf(values, "attributes.color[0]")).toBe("attributes[0].value");
		expect(inputOf(values, "images[0].url")).toBe("images[0].url");
		expect(inputOf(values, "option_names[1]")).toBe("option_names");
	});

	test("has names of options and options", () => {
		const values = new FormData();
		expect(readOptionNames(values)).toBeNull();
		values.set("option_names", " size, color ,");
		values.set("options.size", " M ");
		expect(readOptionNames(values)).toEqual(["size", "color"]);
		expect(readOptions(values, ["size"])).toEqual({ size: "M" });
	});
});

test("changes of a variant contain no field that it inherits again", () => {
	const changes = { name: "Tee", price: 5, currency: "EUR", sku: "A" };
	const values = new FormData();
	expect(withInherited(values, changes)).toEqual(changes);
	values.set("inherit.price", "on");
	expect(withInherited(values, changes)).toEqual({ name: "Tee", sku: "A", inherit: ["price"] });
});

test("describes the fields in which two versions of a product differ", () => {
	const after = {
		...product,
		price: 6,
		images: [],
		attributes: { color: ["red"] },
		updated_at: "later",
	};
	expect(differences(product, after)).toEqual([
		{ field: "price", from: "5", to: "6" },
		{
			field: "attributes",
			from: "color: red, blue, weight: 300, vegan: yes, note: 12",
			to: "color: red",
		},
		{ field: "images", from: "url: /a.svg, alt: none", to: "none" },
	]);
});
