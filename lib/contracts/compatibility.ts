import type { Access, ActionContract, Contract } from "./contract.ts";
import type { Rule, Shape } from "./schema.ts";

const STRICTNESS: readonly Access[] = ["anyone", "user", "owner", "admin"];
/** What rules of any type may have. */
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
 * What in the present contracts breaks those who rely on the released ones, a line each. Callers go on sending what they sent, readers go on
 * finding what they found; actions, events, errors, results and optional parameters may be added. Events live on in outboxes and streams, so what is
 * added to one is optional: those from before do not have it.
 */
export function breakingChanges(
	released: readonly Contract[],
	present: readonly Contract[],
): string[] {
	return released.flatMap((before) => {
		const after = present.find(({ name }) => name === before.name);
		if (!after) return [`${before.name}: the service is gone`];
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
/** What was there, against what bears its name now. */
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
			: [`${prefix}${name}: ${what} is gone`],
	);
}

function action(was: ActionContract, is: ActionContract, at: string): string[] {
	const routes = ({ rest, also = [] }: ActionContract) => [rest, ...also];
	const [strict, stricter] = [was.auth, is.auth].map((access) =>
		STRICTNESS.indexOf(access ?? "anyone"),
	) as [number, number];
	const found = [
		...(was.rest === is.rest ? [] : [`rest was ${was.rest} and is ${is.rest}`]),
		...routes(was).flatMap((one) =>
			one === was.rest || routes(is).includes(one) ? [] : [`${one} is gone`],
		),
		...(stricter > strict ? [`auth was ${was.auth ?? "anyone"} and is ${is.auth}`] : []),
		...(["status", "page"] as const).flatMap((key) =>
			was[key] === is[key] ? [] : [`${key} was ${was[key]} and is ${is[key]}`],
		),
		...(was.idempotent && !is.idempotent ? ["Idempotency-Key is not honoured any more"] : []),
	];
	return [
		...found.map((line) => `${at}: ${line}`),
		...accepted(was.params, is.params, `${at} params`),
		...told(was.returns, is.returns, `${at} returns`),
	];
}

/** A caller may still leave out and pass what it did. */
function accepted(was: Shape, is: Shape, at: string): string[] {
	const required = (rule: Rule) => !rule.optional && !("default" in rule);
	const added = Object.entries(is).filter(
		([field, rule]) => !Object.hasOwn(was, field) && required(rule),
	);
	const kept = each(was, is, `${at}.`, "the field", (before, after, place) => [
		...(required(after) && !required(before)
			? [`${place}: it could be left out and is required`]
			: []),
		...narrower(before, after, place),
	]);
	return [...kept, ...added.map(([field]) => `${at}.${field}: a new field, and required`)];
}

/** Values that a rule took and does not take any more. */
function narrower(was: Rule, is: Rule, at: string): string[] {
	if (is.type === "any") return [];
	const nullable = was.nullable && !is.nullable ? [`${at}: it could be null`] : [];
	if (was.type !== is.type) return [...nullable, `${at}: it was ${was.type} and is ${is.type}`];
	return [
		...nullable,
		...limits(was, is as Limits, at),
		...within(was, is, at, narrower, accepted),
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
		...(is.integer && !was.integer ? [`${at}: it could have a fraction`] : []),
		...(was.convert && !is.convert ? [`${at}: it could come as text`] : []),
		...gone.map((value) => `${at}: the value ${value} is gone`),
	];
}

/** A reader still finds what it found. It has to be ready for values of an enum, and for fields, that are new. */
function told(was: Rule, is: Rule, at: string): string[] {
	if (was.type === "any") return [];
	const nullable = is.nullable && !was.nullable ? [`${at}: it could not be null`] : [];
	if (was.type !== is.type) return [...nullable, `${at}: it was ${was.type} and is ${is.type}`];
	const fraction =
		was.type === "number" && is.type === "number" && was.integer && !is.integer
			? [`${at}: it had no fraction`]
			: [];
	return [...nullable, ...fraction, ...within(was, is, at, told, found)];
}

const found = (was: Shape, is: Shape, at: string): string[] =>
	each(was, is, `${at}.`, "the field", (before, after, place) => [
		...(after.optional && !before.optional
			? [`${place}: it was always there and is optional`]
			: []),
		...told(before, after, place),
	]);

function event(was: Shape, is: Shape, at: string): string[] {
	const added = Object.keys(is).filter(
		(field) => !Object.hasOwn(was, field) && !is[field]!.optional,
	);
	return [
		...found(was, is, at),
		...added.map(
			(field) =>
				`${at}.${field}: a new field, and not optional, while events from before do not have it`,
		),
	];
}

/** The same a level deeper. */
function within(
	was: Rule,
	is: Rule,
	at: string,
	rule: Compare<Rule>,
	shape: Compare<Shape>,
): string[] {
	if (was.type === "array" && is.type === "array") return rule(was.items, is.items, `${at}[]`);
	return was.type === "object" && is.type === "object" ? shape(was.props, is.props, at) : [];
}
