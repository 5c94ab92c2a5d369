import { describe, expect, test } from "@jest/globals";
import { changedFields, localTime } from "../../form-values.ts";
import {
	describeEffect,
	inputOf,
	type Promotion,
	readPromotion,
	stateOf,
} from "./promotion-values.ts";

const DAY = 86_400_000;
const at = (ms: number) => new Date(ms).toISOString();

test.each([
	["active", null, null, false],
	["active", -DAY, DAY, false],
	["used up", -DAY, DAY, true],
	["scheduled", DAY, null, true],
	["ended", -DAY, -1, true],
	["ended", null, 0, false],
])("a promotion is %s from %j to %j, exhausted: %j", (state, starts, ends, is_exhausted) => {
	const time = (ms: number | null) => (ms === null ? null : at(ms));
	expect(stateOf({ starts_at: time(starts), ends_at: time(ends), is_exhausted }, 0)).toBe(state);
});

test("describes effects", () => {
	expect(describeEffect({ type: "percent_off", value: 10 }, "EUR")).toBe("10 % off");
	expect(describeEffect({ type: "amount_off", value: 5 }, "EUR")).toMatch(/5.00.* off/);
	expect(describeEffect({ type: "buy_x_get_y", buy: 2, get: 1 }, "EUR")).toBe("Buy 2, get 1 free");
	expect(describeEffect({ type: "free_shipping" }, "EUR")).toBe("Free shipping");
});

describe("the form of a promotion", () => {
	const promotion = {
		name: "Summer",
		code: "SUMMER",
		effect: { value: 10, type: "percent_off" },
		currency: "EUR",
		starts_at: at(0),
		ends_at: null,
		priority: 3,
		combinable: true,
		conditions: { categories: ["A/B"], first_order: true, min_subtotal: 20, product_ids: ["p"] },
		usage_limit: 5,
		usage_limit_per_customer: null,
		budget: 100,
	} as unknown as Promotion;
	const values = () => {
		const form = new FormData();
		for (const [name, value] of Object.entries({
			name: "Summer ",
			code: "SUMMER",
			"effect.type": "percent_off",
			"effect.value": "10",
			currency: "eur",
			starts_at: localTime(at(0)),
			ends_at: "",
			priority: "3",
			combinable: "on",
			first_order: "on",
			"conditions.min_subtotal": "20",
			"conditions.categories": "A/B\n",
			"conditions.user_ids": "",
			usage_limit: "5",
			usage_limit_per_customer: "",
			budget: "100",
		}))
			form.set(name, value);
		return form;
	};

	test("has all its fields", () => {
		expect(changedFields(promotion, readPromotion(values(), ["p"], promotion))).toEqual({});
	});

	test("omits conditions and parameters that are blank", () => {
		const form = new FormData();
		form.set("effect.type", "free_shipping");
		expect(readPromotion(form, [])).toEqual({
			name: "",
			code: null,
			effect: { type: "free_shipping" },
			currency: "",
			starts_at: null,
			ends_at: null,
			priority: 0,
			combinable: false,
			conditions: {},
			usage_limit: null,
			usage_limit_per_customer: null,
			budget: null,
		});
	});

	test("shows the errors of a list at its input", () => {
		expect(inputOf("conditions.user_ids[12]")).toBe("conditions.user_ids");
		expect(inputOf("effect.value")).toBe("effect.value");
	});
});
