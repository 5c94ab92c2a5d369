import type { Rule, Shape } from "./schema.ts";

/** Valid example of a rule: its `example`, its default, or a generic value. */
export function exampleOf(rule: Rule): unknown {
	if (rule.example !== undefined) return rule.example;
	if ("default" in rule && rule.default !== undefined) return rule.default;
	switch (rule.type) {
		case "string":
			return "text"
				.padEnd(rule.length ?? rule.min ?? 0, " and more")
				.slice(0, rule.length ?? rule.max);
		case "email":
			return "customer@example.com";
		case "uuid":
			return "019a0000-0000-7000-8000-000000000001";
		case "number":
			return Math.min(Math.max(1, rule.min ?? 1), rule.max ?? 1);
		case "money":
			return Math.max(19.99, rule.min ?? 0);
		case "time":
			return "2026-01-01T12:00:00.000Z";
		case "boolean":
			return true;
		case "enum":
			return rule.values[0];
		case "array":
			return Array.from({ length: Math.max(1, rule.min ?? 1) }, () => exampleOf(rule.items));
		case "object":
			return exampleOfShape(rule.props);
		case "record":
			return { [exampleOf(rule.key) as string]: exampleOf(rule.value) };
		case "multi":
			return exampleOf(rule.rules[0]!);
		case "any":
			return rule.nullable ? null : {};
	}
}

/** Valid example of a shape, with all fields. */
export const exampleOfShape = (shape: Shape): Record<string, unknown> =>
	Object.fromEntries(Object.entries(shape).map(([field, rule]) => [field, exampleOf(rule)]));
