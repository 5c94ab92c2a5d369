import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { notification } from "../../../../services/notifications/notifications.contract.ts";
import { filtersOf, STATUSES, TEMPLATES, timeOfId } from "./filters.ts";

test("filters ignore invalid values and shorten the search", () => {
	const of = (text: string) => filtersOf(new URLSearchParams(text));
	expect(of("q=ada&status=kept&template=welcome&page=2")).toEqual({
		q: "ada",
		status: "kept",
		template: "welcome",
	});
	expect(of("q=&status=odd&template=odd")).toEqual({});
	expect(of(`q=${"a".repeat(200)}`)).toEqual({ q: "a".repeat(100) });
});

test("every status and template has a label", () => {
	expect(Object.keys(STATUSES)).toEqual(notification.status.values);
	expect(Object.keys(TEMPLATES)).toEqual(notification.template.values);
});

test("an ID contains its time", () => {
	const msecs = Date.parse("2026-03-04T05:06:07.089Z");
	expect(timeOfId(uuid({ msecs }))).toBe("2026-03-04T05:06:07.089Z");
});
