import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { orderedGroups } from "./ordered-groups.ts";

const one = (name: string) => ({ subject: name[0]!, key: name[1]!, name });
const grouped = (names: string[], max?: number) =>
	orderedGroups(
		names.map(one),
		({ key }) => key,
		max === undefined ? undefined : { max, sizeOf: () => 1 },
	).map(({ members }) => members.map(({ name }) => name).join(" "));

test("groups elements by key unless that would reorder a subject", () => {
	expect(grouped(["Xa", "Xb", "Ya", "Yb"])).toEqual(["Xa Ya", "Xb Yb"]);
	expect(grouped(["Yb", "Xa", "Xb"])).toEqual(["Yb", "Xa", "Xb"]);
	expect(grouped(["Xa", "Xb", "Xa", "Ya"])).toEqual(["Xa Ya", "Xb", "Xa"]);
});

test("starts another group of the same key when one is full", () => {
	expect(grouped(["Xa", "Ya", "Za", "Zb", "Zb"], 2)).toEqual(["Xa Ya", "Za", "Zb Zb"]);
	expect(grouped(["Xa", "Ya"], 0)).toEqual(["Xa", "Ya"]);
});

test("keeps all elements, each subject's order and the size limit for any input", () => {
	const element = fc.record({
		subject: fc.constantFrom("X", "Y", "Z"),
		key: fc.constantFrom("a", "b", "none"),
		size: fc.integer({ min: 1, max: 6 }),
	});
	const property = fc.property(fc.array(element, { maxLength: 40, size: "max" }), (elements) => {
		const groups = orderedGroups(elements, ({ key }) => (key === "none" ? undefined : key), {
			max: 8,
			sizeOf: ({ size }) => size,
		});
		const wanted = elements.filter(({ key }) => key !== "none");
		const taken = groups.flatMap(({ members }) => members);
		expect(new Set(taken)).toEqual(new Set(wanted));
		expect(taken).toHaveLength(wanted.length);
		for (const subject of ["X", "Y", "Z"]) {
			const about = (all: typeof elements) => all.filter((other) => other.subject === subject);
			expect(about(taken).map((member) => wanted.indexOf(member))).toEqual(
				about(wanted).map((member) => wanted.indexOf(member)),
			);
		}
		for (const { key, members } of groups) {
			expect(new Set(members.map((member) => member.key))).toEqual(new Set([key]));
			expect(members.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(8);
		}
	});
	fc.assert(property, { numRuns: 300, seed: 1 });
});
