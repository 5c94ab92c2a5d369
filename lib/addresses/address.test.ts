import { expect, test } from "@jest/globals";
import {
	type Address,
	assertAddress,
	formatAddress,
	formatPlace,
	postalCodeOf,
} from "./address.ts";
import { countryName, isCountry } from "./countries.ts";

const berlin: Address = {
	name: "Grace Hopper",
	line1: "Unter den Linden 1",
	postal_code: "10117",
	city: "Berlin",
	country: "DE",
};
const violation = (address: Partial<Address>, ...[field]: (string | undefined)[]) => {
	try {
		assertAddress(field, { ...berlin, ...address });
		return undefined;
	} catch (error) {
		const { type, data } = error as { type: string; data: { errors: object[] } };
		expect(type).toBe("VALIDATION_ERROR");
		expect(data.errors).toHaveLength(1);
		return data.errors[0];
	}
};

test("accepts the assigned ISO 3166-1 alpha-2 codes only", () => {
	for (const code of ["DE", "US", "AX", "TW", "ZW"])
		expect([code, isCountry(code)]).toEqual([code, true]);
	for (const code of ["XX", "XK", "EU", "UK", "ZZ", "de", "DEU", "", "toString"])
		expect([code, isCountry(code)]).toEqual([code, false]);
	expect(countryName("DE")).toBe("Germany");
});

test.each([
	["DE", "10117"],
	["US", "94103"],
	["US", "94103-1234"],
	["GB", "SW1A 1AA"],
	["GB", "sw1a1aa"],
	["CA", " K1A 0T6 "],
	["NL", "1012 AB"],
	["PL", "00-950"],
	["IE", "D02 AF30"],
	["JP", "154-0023"],
	["AE", null],
	["AE", "N/A"],
	["HK", ""],
])("accepts postal code %s %s", (country, postal_code) => {
	expect(violation({ country, postal_code })).toBeUndefined();
});

test.each([
	["DE", "1011", "POSTAL_CODE"],
	["DE", "101170", "POSTAL_CODE"],
	["DE", "D-10117", "POSTAL_CODE"],
	["US", "9410", "POSTAL_CODE"],
	["GB", "10117", "POSTAL_CODE"],
	["DE", null, "REQUIRED"],
	["DE", undefined, "REQUIRED"],
	["DE", "", "REQUIRED"],
] as const)("rejects postal code %s %s", (country, postal_code, code) => {
	expect(violation({ country, postal_code }, "shipping_address")).toMatchObject({
		field: "shipping_address.postal_code",
		code,
		message: expect.stringMatching(/^Enter a postal code of .+, such as .+$/),
	});
});

test("rejects an unknown country", () => {
	expect(violation({ country: "XX" }, "billing_address")).toMatchObject({
		field: "billing_address.country",
		code: "COUNTRY",
	});
});

test("names the part alone if the parameters are the address", () => {
	expect(violation({ postal_code: "1" })).toMatchObject({ field: "postal_code" });
});

test("formats every part on a line of its own, in the country's spelling", () => {
	expect(formatAddress(berlin)).toEqual([
		"Grace Hopper",
		"Unter den Linden 1",
		"10117 Berlin",
		"Germany",
	]);
	const ottawa: Address = {
		name: "Grace\r\nHopper ",
		company: "ACME",
		line1: "111 Wellington St",
		line2: "Floor 2",
		postal_code: "k1a 0t6",
		city: "Ottawa",
		region: "ON",
		country: "CA",
		phone: "+1 613 000 0000",
	};
	expect(formatAddress(ottawa)).toEqual([
		"Grace Hopper",
		"ACME",
		"111 Wellington St",
		"Floor 2",
		"K1A 0T6 Ottawa",
		"ON",
		"Canada",
	]);
	const dubai = { ...berlin, postal_code: null, company: "", city: "Dubai", country: "AE" };
	expect(formatAddress(dubai).slice(2)).toEqual(["Dubai", "United Arab Emirates"]);
	expect(postalCodeOf({ country: "AE", postal_code: "any" })).toBe("any");
});

test("a place contains no free text of a buyer", () => {
	const text = "call 1234";
	expect(formatPlace({ ...berlin, name: text, city: text, region: text })).toEqual([
		"10117",
		"Germany",
	]);
	expect(formatPlace({ ...berlin, country: "AE", postal_code: text })).toEqual([
		"United Arab Emirates",
	]);
	expect(formatPlace({ ...berlin, postal_code: text })).toEqual(["Germany"]);
	expect(formatPlace({ ...berlin, country: text })).toEqual([]);
});
