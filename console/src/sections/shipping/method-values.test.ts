import { expect, test } from "@jest/globals";
import { inputOf, readMethod } from "./method-values.ts";

test("the form of a method has all its fields", () => {
	const values = new FormData();
	for (const [name, value] of Object.entries({
		name: "Express ",
		countries: "de, at,\nCH",
		currency: "eur",
		price: "12.5",
		free_from: "",
		position: "2",
		"tiers[0].up_to_subtotal": "",
		"tiers[0].up_to_weight": "2000",
		"tiers[0].price": "9.99",
	}))
		values.set(name, value);
	expect(readMethod(values)).toEqual({
		name: "Express",
		countries: ["DE", "AT", "CH"],
		currency: "EUR",
		price: 12.5,
		free_from: null,
		tiers: [{ up_to_weight: 2000, price: 9.99 }],
		position: 2,
	});
});

test.each([
	["countries[3]", "countries"],
	["tiers[1]", "tiers[1].up_to_subtotal"],
	["tiers[1].price", "tiers[1].price"],
	["price", "price"],
])("the error of %s is at the input %s", (field: string, input: string) => {
	expect(inputOf(field)).toBe(input);
});
