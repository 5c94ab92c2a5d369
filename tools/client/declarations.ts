import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ActionContract, Contract } from "../../lib/contracts/contract.ts";
import { commonErrors } from "../../lib/contracts/errors.ts";
import type { Rule, Shape } from "../../lib/contracts/schema.ts";
import { isOfClient } from "./routes.ts";

const values = join(import.meta.dirname, "../../lib/contracts/values.ts");

/**
 * Source of the module `contracts` in the published client: the contracts as literal types, printed
 * from their data, without any import. It has only the members that the client's types depend on.
 */
export const declarationsOf = (contracts: readonly Contract[]): string =>
	`${readFileSync(values, "utf8")}
export type CommonError = ${Object.keys(commonErrors).map(quote).join(" | ")};

export interface Contracts {
${contracts
	.filter(({ actions }) => Object.values(actions).some(isOfClient))
	.map((contract) => `readonly ${contract.name}: ${declare(contract)};`)
	.join("\n")}
}
`;

const property = (name: string, action: ActionContract): string =>
	`${comment(action.summary)}readonly ${name}: ${print(partsOf(action))};`;

function declare({ actions, events = {}, errors = {} }: Contract): string {
	const published = Object.entries(actions).filter(([, action]) => isOfClient(action));
	const hasStream = published.some(([, { stream }]) => stream);
	return `{
readonly actions: {
${published.map(([name, action]) => property(name, action)).join("\n")}
};
readonly errors: { ${Object.keys(errors)
		.map((code) => `readonly ${code}: object;`)
		.join(" ")} };
${hasStream ? `readonly events: ${print(mapValues(events, shapeOf))};` : ""}
}`;
}

/** Members of an action's contract that decide on the types of its method. */
function partsOf(action: ActionContract): object {
	const { rest, status, page, idempotent, etag, async, stream, upload, download, throws } = action;
	return {
		rest,
		...defined({ status, page, idempotent, etag, async, stream, upload, download, throws }),
		params: shapeOf(action.params),
		returns: ruleOf(action.returns),
	};
}

const shapeOf = (shape: Shape): object => mapValues(shape, ruleOf);

/** The members of a rule that decide on the type of its values, see values.ts. */
function ruleOf(rule: Rule): object {
	const { type, optional, nullable } = rule;
	return {
		type,
		...defined({ optional, nullable, default: "default" in rule ? rule.default : undefined }),
		...(rule.type === "enum" ? { values: rule.values } : {}),
		...(rule.type === "array" ? { items: ruleOf(rule.items) } : {}),
		...(rule.type === "object" ? { props: shapeOf(rule.props) } : {}),
		...(rule.type === "record" ? { value: ruleOf(rule.value) } : {}),
		...(rule.type === "multi" ? { rules: rule.rules.map(ruleOf) } : {}),
	};
}

/** Prints data as a literal type. */
function print(value: unknown): string {
	if (Array.isArray(value)) return `readonly [${value.map(print).join(", ")}]`;
	if (typeof value !== "object" || value === null) return JSON.stringify(value);
	const members = Object.entries(value).map(
		([name, member]) => `readonly ${quote(name)}: ${print(member)};`,
	);
	return `{ ${members.join(" ")} }`;
}

const quote = (text: string): string => JSON.stringify(text);
const comment = (text: string | undefined): string =>
	text ? `/** ${text.replaceAll("*/", "*\\/")} */\n` : "";
const defined = (members: Record<string, unknown>): object =>
	Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
const mapValues = <V, R>(record: Readonly<Record<string, V>>, map: (value: V) => R) =>
	Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
