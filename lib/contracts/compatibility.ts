import type { Access, ActionContract, Contract } from "./contract.ts";
import type { Rule, Shape } from "./schema.ts";

const STRICTNESS: readonly Access[] = ["anyone", "user", "owner", "admin"];
/** Properties that restrict the values of a rule. */
interface Limits {
	readonly type: string;
	readonly min?: number;
	readonly max?: number;
	readonly length?: number;
	readonly pattern?: string;
	readonly integer?: true;
	readonly convert?: true;
	readonly values?: readonly string[];
}

/**
 * Compares contracts with the released ones and describes each breaking change in one line. Callers
 * may send the same requests and readers find the same fields as before. Compatible changes add
 * actions, events, errors, result fields and optional parameters. Outboxes and streams still
 * contain old events, so a new field of an event must be optional.
 */
export function breakingChanges(
	released: readonly Contract[],
	current: readonly Contract[],
): string[] {
	return released.flatMap((before) => {
		const after = current.find(({ name }) => name === before.name);
		if (!after) return [`${before.name}: the service was removed`];
		const { actions, events = {}, errors = {} } = before;
		return [
			...each(actions, after.actions, `${before.name}.`, "the action", action),
			...each(events, after.events ?? {}, "", "the event", event),
			...each(errors, after.errors ?? {}, `${before.name} `, "the error", (was, is, at) =>
				was.status === is.status ? [] : [`${at}: status was ${was.status} and is ${is.status}`],
			),
		];
	});
}

type Compare<T> = (was: T, is: T, at: string) => string[];
/** Compares each former member with the current one of the same name. */
function each<T>(
	was: Record<string, T>,
	is: Record<string, T>,
	prefix: string,
	what: string,
	compare: Compare<T>,
): string[] {
	return Object.entries(was).flatMap(([name, one]) =>
		Object.hasOwn(is, name)
			? compare(one, is[name]!, prefix + name)
			: [`${prefix}${name}: ${what} was removed`],
	);
}

function action(was: ActionContract, is: ActionContract, at: string): string[] {
	const routes = ({ rest, also = [] }: ActionContract) => [rest, ...also];
	const [strict, stricter] = [was.auth, is.auth].map((access) =>
		STRICTNESS.indexOf(access ?? "anyone"),
	) as [number, number];
	const changes = [
		...(was.rest === is.rest ? [] : [`rest was ${was.rest} and is ${is.rest}`]),
		...routes(was).flatMap((one) =>
			one === was.rest || routes(is).includes(one) ? [] : [`${one} was removed`],
		),
		...(stricter > strict ? [`auth was ${was.auth ?? "anyone"} and is ${is.auth}`] : []),
		...(["status", "page"] as const).flatMap((key) =>
			was[key] === is[key] ? [] : [`${key} was ${was[key]} and is ${is[key]}`],
		),
		...(was.idempotent && !is.idempotent ? ["Idempotency-Key is no longer supported"] : []),
	];
	return [
		...changes.map((line) => `${at}: ${line}`),
		...accepted(was.params, is.params, `${at} params`),
		...produced(was.returns, is.returns, `${at} returns`),
	];
}

/** Finds parameters that no longer accept what callers send or omit. */
function accepted(was: Shape, is: Shape, at: string): string[] {
	const required = (rule: Rule) => !rule.optional && !("default" in rule);
	const added = Object.entries(is).filter(
		([field, rule]) => !Object.hasOwn(was, field) && required(rule),
	);
	const common = each(was, is, `${at}.`, "the field", (before, after, place) => [
		...(required(after) && !required(before) ? [`${place}: was optional and is required`] : []),
		...narrower(before, after, place),
	]);
	return [...common, ...added.map(([field]) => `${at}.${field}: new required field`)];
}

/** Finds values that a rule no longer accepts. */
function narrower(was: Rule, is: Rule, at: string): string[] {
	if (is.type === "any") return [];
	const nullable = was.nullable && !is.nullable ? [`${at}: no longer accepts null`] : [];
	// Another alternative beside the former rule.
	const same = is.type === "multi" && is.rules.find(({ type }) => type === was.type);
	if (was.type !== "multi" && same) return [...nullable, ...narrower(was, same, at)];
	if (was.type !== is.type) return [...nullable, `${at}: type was ${was.type} and is ${is.type}`];
	return [
		...nullable,
		...limits(was, is as Limits, at),
		...nested(was, is, at, narrower, accepted),
	];
}

function limits(was: Limits, is: Limits, at: string): string[] {
	const changed = (key: keyof Limits) =>
		`${at}: ${key} was ${was[key] ?? "not limited"} and is ${is[key] ?? "not limited"}`;
	const [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
	const gone = (was.values ?? []).filter((value) => !is.values?.includes(value));
	return [
		...((is.min ?? low) > (was.min ?? low) ? [changed("min")] : []),
		...((is.max ?? high) < (was.max ?? high) ? [changed("max")] : []),
		...(["length", "pattern"] as const).flatMap((key) =>
			is[key] !== undefined && is[key] !== was[key] ? [changed(key)] : [],
		),
		...(is.integer && !was.integer ? [`${at}: no longer accepts fractions`] : []),
		...(was.convert && !is.convert ? [`${at}: no longer accepts text`] : []),
		...gone.map((value) => `${at}: the value ${value} was removed`),
	];
}

/**
 * Finds results that a reader does not expect. Readers must accept new fields and new values of an
 * enum.
 */
function produced(was: Rule, is: Rule, at: string): string[] {
	if (was.type === "any") return [];
	const nullable = is.nullable && !was.nullable ? [`${at}: may now be null`] : [];
	if (was.type !== is.type) return [...nullable, `${at}: type was ${was.type} and is ${is.type}`];
	const fraction =
		was.type === "number" && is.type === "number" && was.integer && !is.integer
			? [`${at}: may now have a fraction`]
			: [];
	return [...nullable, ...fraction, ...nested(was, is, at, produced, producedFields)];
}

const producedFields = (was: Shape, is: Shape, at: string): string[] =>
	each(was, is, `${at}.`, "the field", (before, after, place) => [
		...(after.optional && !before.optional ? [`${place}: was required and is optional`] : []),
		...produced(before, after, place),
	]);

function event(was: Shape, is: Shape, at: string): string[] {
	const added = Object.keys(is).filter(
		(field) => !Object.hasOwn(was, field) && !is[field]!.optional,
	);
	return [
		...producedFields(was, is, at),
		...added.map(
			(field) => `${at}.${field}: new field that is not optional, but existing events lack it`,
		),
	];
}

/** Compares each alternative with the current one of the same type. */
function alternatives(
	was: Rule & { readonly type: "multi" },
	is: Rule & { readonly type: "multi" },
	at: string,
	rule: Compare<Rule>,
): string[] {
	return was.rules.flatMap((before) => {
		const after = is.rules.find(({ type }) => type === before.type);
		return after ? rule(before, after, at) : [`${at}: the type ${before.type} was removed`];
	});
}

/** Compares the elements of arrays, objects, records and alternatives. */
function nested(
	was: Rule,
	is: Rule,
	at: string,
	rule: Compare<Rule>,
	shape: Compare<Shape>,
): string[] {
	if (was.type === "array" && is.type === "array") return rule(was.items, is.items, `${at}[]`);
	if (was.type === "record" && is.type === "record")
		return [...rule(was.key, is.key, `${at}{key}`), ...rule(was.value, is.value, `${at}{}`)];
	if (was.type === "multi" && is.type === "multi") return alternatives(was, is, at, rule);
	return was.type === "object" && is.type === "object" ? shape(was.props, is.props, at) : [];
}
