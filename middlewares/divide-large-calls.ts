import type { Context, Middleware, ServiceBroker } from "moleculer";
import type { ActionContract } from "../lib/contracts/contract.ts";
import type { Shape } from "../lib/contracts/schema.ts";
import { isMessageTooLarge } from "../lib/resilience/message-size.ts";
import { repeatCall } from "./repeat-call.ts";

type Params = Record<string, unknown>;
type Send = (params: Params) => Promise<unknown>;
/**
 * Calls an action in two parts and joins their results; undefined if the call cannot be divided.
 */
type Halve = (params: Params, send: Send) => Promise<unknown> | undefined;
type Handler = (ctx: Context<Params>) => Promise<unknown>;
type Action = Pick<ActionContract, "page" | "divide" | "params"> & { readonly name: string };

/**
 * Divides a call whose request or result is too large for one NATS message: it is repeated in two
 * halves, which are divided again if necessary. Only for actions whose contract declares how,
 * because a part may have been executed before.
 */
export function divideLargeCalls(broker: ServiceBroker): Middleware {
	return {
		name: "Divide",
		remoteAction(next: Handler, action: Action): Handler {
			const halve = halvingOf(action);
			if (!halve) return next;
			return async (ctx) => {
				try {
					return await next(ctx);
				} catch (error) {
					const halves = isMessageTooLarge(error)
						? halve(ctx.params, (params) =>
								repeatCall(broker, ctx, action.name, { params, nodeID: ctx.options.nodeID }),
							)
						: undefined;
					if (!halves) throw error;
					return halves;
				}
			};
		},
	} as unknown as Middleware;
}

function halvingOf({ page, divide, params }: Action): Halve | undefined {
	if (page) return halvePage(params);
	if (!divide) return undefined;
	return "list" in divide ? halveList(divide.list) : halveRange(divide.range);
}

const halveList =
	(name: string): Halve =>
	(params, send) => {
		const all = params[name] as unknown[];
		if (all.length < 2) return undefined;
		const middle = all.length >> 1;
		const part = (values: unknown[]) => send({ ...params, [name]: values }) as Promise<unknown[]>;
		return part(all.slice(0, middle)).then(async (first) => [
			...first,
			...(await part(all.slice(middle))),
		]);
	};

/** The second half begins after the last row of the first one. */
const halveRange =
	(key: string): Halve =>
	(params, send) => {
		const limit = params.limit as number;
		if (limit < 2) return undefined;
		const half = limit >> 1;
		const part = (after: unknown, limit: number) =>
			send({ ...params, after, limit }) as Promise<Params[]>;
		return part(params.after, half).then(async (first) =>
			first.length < half ? first : [...first, ...(await part(first.at(-1)![key], limit - half))],
		);
	};

/**
 * Parameters that the caller omits have the contract's default, and those of a query string are
 * text. The total is that of the last part, which has the information whether more rows follow.
 */
const halvePage =
	(defaults: Shape): Halve =>
	(params, send) => {
		const given = (name: "skip" | "limit") =>
			Number(params[name] ?? (defaults[name] as { default?: number } | undefined)?.default);
		const [from, limit] = [given("skip"), given("limit")];
		if (!(limit >= 2)) return undefined;
		const half = limit >> 1;
		const part = (skip: number, limit: number) =>
			send({ ...params, skip, limit }) as Promise<{ rows: unknown[]; total: number }>;
		return part(from, half).then(async (first) => {
			if (first.rows.length < half) return first;
			const second = await part(from + half, limit - half);
			return { ...second, rows: [...first.rows, ...second.rows] };
		});
	};
