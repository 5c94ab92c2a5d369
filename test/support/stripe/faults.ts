import { type Random, random } from "../../../tools/chaos/random.ts";

/** Faults of a request. `…Before` happens instead of the effect, `…After` follows it. */
const REQUEST_FAULTS = [
	"timeoutBefore",
	"timeoutAfter",
	"resetBefore",
	"resetAfter",
	"serverErrorBefore",
	"serverErrorAfter",
	"rateLimit",
	"lockTimeout",
] as const;
export type RequestFault = (typeof REQUEST_FAULTS)[number];

/** Faults of a webhook delivery. */
const WEBHOOK_FAULTS = ["drop", "duplicate", "reorder", "delay"] as const;
type WebhookFault = (typeof WEBHOOK_FAULTS)[number];

/** Probabilities from 0 to 1, default 0. At most one fault applies to a request or delivery. */
export interface Faults {
	readonly requests?: Readonly<Partial<Record<RequestFault, number>>>;
	readonly webhooks?: Readonly<Partial<Record<WebhookFault, number>>>;
	/** Range of the time between a request and its effect, in milliseconds. Default [0, 0]. */
	readonly latencyMs?: readonly [number, number];
	/** Range of the delay of a delivery with the fault `delay`, in milliseconds. */
	readonly webhookDelayMs?: readonly [number, number];
}
/** A fault for the next requests, regardless of the probabilities. */
export interface PlannedFault {
	readonly fault: RequestFault;
	/** Route, for example `POST /v1/payment_intents/:id/capture`; every route by default. */
	readonly route?: string;
	/** Default 1. */
	readonly times?: number;
}
export interface RequestPlan {
	readonly fault: RequestFault | undefined;
	readonly latencyMs: number;
}
export interface DeliveryPlan {
	readonly fault: WebhookFault | undefined;
	readonly delayMs: number;
}

const DEFAULT_DELAY_MS = [50, 500] as const;

/**
 * Selects faults deterministically: the n-th request to a route, and the n-th delivery of an event
 * type, always have the same plan for a seed, in whatever order the other requests arrive.
 */
export function faultPlans(seed: number, initial: Faults = {}) {
	let faults = validated(initial);
	const planned: { fault: RequestFault; route: string | undefined; left: number }[] = [];
	const counts = new Map<string, number>();

	function generator(label: string): Random {
		const count = (counts.get(label) ?? 0) + 1;
		counts.set(label, count);
		return random(hash(`${seed} ${label} ${count}`));
	}

	return {
		set(next: Faults): void {
			faults = validated(next);
		},
		plan({ fault, route, times = 1 }: PlannedFault): void {
			if (!REQUEST_FAULTS.includes(fault)) throw new Error(`Unknown fault: ${fault}`);
			planned.push({ fault, route, left: times });
		},
		clear(): void {
			planned.length = 0;
			counts.clear();
		},
		forRequest(route: string): RequestPlan {
			const dice = generator(route);
			const selected = select(dice, REQUEST_FAULTS, faults.requests);
			const latencyMs = dice.between(...(faults.latencyMs ?? [0, 0]));
			const next = planned.find((one) => one.route === undefined || one.route === route);
			if (!next) return { fault: selected, latencyMs };
			next.left -= 1;
			if (next.left === 0) planned.splice(planned.indexOf(next), 1);
			return { fault: next.fault, latencyMs };
		},
		forDelivery(type: string): DeliveryPlan {
			const dice = generator(type);
			const fault = select(dice, WEBHOOK_FAULTS, faults.webhooks);
			const delayMs = dice.between(...(faults.webhookDelayMs ?? DEFAULT_DELAY_MS));
			return { fault, delayMs: fault === "delay" ? delayMs : 0 };
		},
	};
}
export type FaultPlans = ReturnType<typeof faultPlans>;

function select<F extends string>(
	dice: Random,
	names: readonly F[],
	probabilities: Readonly<Partial<Record<F, number>>> | undefined,
): F | undefined {
	let left = dice.next();
	for (const name of names) {
		left -= probabilities?.[name] ?? 0;
		if (left < 0) return name;
	}
	return undefined;
}

/** @throws Error for an unknown fault, or for probabilities outside 0 to 1 or with a sum above 1 */
function validated(faults: Faults): Faults {
	check("request", REQUEST_FAULTS, faults.requests);
	check("webhook", WEBHOOK_FAULTS, faults.webhooks);
	return faults;
}

function check(
	kind: string,
	names: readonly string[],
	probabilities: Readonly<Record<string, number>> = {},
): void {
	const unknown = Object.keys(probabilities).find((name) => !names.includes(name));
	if (unknown) throw new Error(`Unknown ${kind} fault: ${unknown}`);
	const values = Object.values(probabilities);
	const sum = values.reduce((total, value) => total + value, 0);
	if (values.some((value) => !(value >= 0)) || sum > 1)
		throw new Error(`The probabilities of ${kind} faults must be at least 0, with a sum up to 1`);
}

/** 32-bit FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(text: string): number {
	let value = 0x811c9dc5;
	for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
	return value >>> 0;
}
