import type { Rule, Shape } from "./schema.ts";

/** Parameters for fastest-validator, where fields that are not there are errors. */
export const rejectUnknownFields = (props: Shape): object => ({ $$strict: true, ...props });
/** The same, but fields that are not there are left out, at every depth. */
export const ignoreUnknownFields = (props: Shape): object => ({
	$$strict: "remove",
	...tolerantly(props),
});
const tolerantly = (props: Shape) =>
	Object.fromEntries(Object.entries(props).map(([field, rule]) => [field, tolerantRule(rule)]));
function tolerantRule(rule: Rule): object {
	if (rule.type === "array") return { ...rule, items: tolerantRule(rule.items) };
	return rule.type === "object"
		? { ...rule, strict: "remove", props: tolerantly(rule.props) }
		: rule;
}
