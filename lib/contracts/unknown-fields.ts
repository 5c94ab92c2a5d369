import type { Rule, Shape } from "./schema.ts";

/** Parameter rules for fastest-validator that reject unknown fields. */
export const rejectUnknownFields = (props: Shape): object => ({ $$strict: true, ...props });
/** Parameter rules for fastest-validator that remove unknown fields at every depth. */
export const ignoreUnknownFields = (props: Shape): object => ({
	$$strict: "remove",
	...ignoreInProps(props),
});
const ignoreInProps = (props: Shape) =>
	Object.fromEntries(Object.entries(props).map(([field, rule]) => [field, ignoreInRule(rule)]));
function ignoreInRule(rule: Rule): object {
	if (rule.type === "array") return { ...rule, items: ignoreInRule(rule.items) };
	if (rule.type === "record") return { ...rule, value: ignoreInRule(rule.value) };
	if (rule.type === "multi") return { ...rule, rules: rule.rules.map(ignoreInRule) };
	return rule.type === "object"
		? { ...rule, strict: "remove", props: ignoreInProps(rule.props) }
		: rule;
}
