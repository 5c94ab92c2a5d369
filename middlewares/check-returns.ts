import type { Context, Middleware, ServiceBroker } from "moleculer";
import { compileShape } from "../lib/contracts/compile-shape.ts";
import type { Rule } from "../lib/contracts/schema.ts";

type Handler = (ctx: Context) => Promise<unknown>;

/** For tests: rejects results that violate the `returns` of the action's contract. */
export const checkReturns = {
	name: "CheckReturns",
	localAction(
		this: ServiceBroker,
		next: Handler,
		action: { name: string; returns?: Rule },
	): Handler {
		const { returns } = action;
		if (!returns || returns.type === "any") return next;
		const check = compileShape(this, { result: returns });
		return async (ctx) => {
			const result = await next(ctx);
			// Checks a copy: the validator fills in defaults, and JSON omits undefined as the wire does.
			const violations = check({ result: JSON.parse(JSON.stringify(result)) });
			if (violations !== true)
				throw new Error(`${action.name} violates its contract: ${JSON.stringify(violations)}`);
			return result;
		};
	},
} as unknown as Middleware;
