import { describe, expect, test } from "@jest/globals";
import { canonicalForm, decodeForm } from "./form.ts";

describe("decodeForm", () => {
	test("decodes nested names, indexed lists and appended lists", () => {
		const form = decodeForm("a=1&b%5Bc%5D%5Bd%5D=2&e[0]=x&e[1]=y&f[]=p&f[]=q&g=");
		expect(JSON.parse(JSON.stringify(form))).toEqual({
			a: "1",
			b: { c: { d: "2" } },
			e: { 0: "x", 1: "y" },
			f: { 0: "p", 1: "q" },
			g: "",
		});
	});

	test("decodes the name __proto__ without effect on other objects", () => {
		const form = decodeForm("__proto__[polluted]=1&constructor[prototype][x]=1");
		expect(Object.keys(form)).toEqual(["__proto__", "constructor"]);
		expect(({} as Record<string, unknown>).polluted).toBeUndefined();
	});

	test.each(["[a]=1", "a[b=1", "a]b=1", `a${"[b]".repeat(9)}=1`])("rejects %j", (text) => {
		expect(() => decodeForm(text)).toThrow(/Invalid parameter name|nested too deeply/);
	});
});

test("canonicalForm ignores the order of the parameters", () => {
	const one = canonicalForm(decodeForm("a=1&m[x]=1&m[y]=2"));
	expect(canonicalForm(decodeForm("m[y]=2&m[x]=1&a=1"))).toBe(one);
	expect(canonicalForm(decodeForm("m[y]=1&m[x]=2&a=1"))).not.toBe(one);
});
