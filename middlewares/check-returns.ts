import type { Context, Middleware, ServiceBroker } from "moleculer";
import type { Rule } from "../lib/contracts/schema.ts";

type Handler = (ctx: Context) => Promise<unknown>;
interface Checker {
	compile(shape: object): (value: object) => true | object[];
}

/** For tests: an action whose result does not keep to the `returns` of its contract fails. */
export const checkReturns = {
	name: "CheckReturns",
	localAction(
		this: ServiceBroker,
		next: Handler,
		action: { name: string; returns?: Rule },
	): Handler {
		const { returns } = action;
		if (!returns || returns.type === "any") return next;
		const check = (this.validator as unknown as Checker).compile({
			$$strict: true,
			result: returns,
		});
		return async (ctx) => {
			const result = await next(ctx);
			// A copy: the validator fills in defaults, and what it sees on the wire has no undefined in it.
			const verdict = check({ result: JSON.parse(JSON.stringify(result)) });
			if (verdict !== true)
				throw new Error(
					`${action.name} does not return what its contract says: ${JSON.stringify(verdict)}`,
				);
			return result;
		};
	},
} as unknown as Middleware;
