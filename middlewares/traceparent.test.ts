import { expect, test } from "@jest/globals";
import type { Context } from "moleculer";
import { currentTraceparent, runInTrace } from "../lib/context/traceparent.ts";
import { contract } from "../lib/contracts/contract.ts";
import { defineService } from "../lib/service/define-service.ts";
import { eventually } from "../test/support/eventually.ts";
import { fakeNodes } from "./test/fake-nodes.ts";

const one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

const action = { params: {}, returns: { type: "any" } } as const;
const inner = contract({ name: "inner", actions: { look: action } });
const outer = contract({ name: "outer", actions: { look: action, lookElsewhere: action } });
/** Returns the trace of the call's header, and the current one. */
const look = async (ctx: unknown) => [
	(ctx as Context).headers.traceparent ?? "none",
	currentTraceparent() ?? "none",
];
const services = [
	defineService(inner)({ actions: { look: look as never } }),
	defineService(outer)({
		actions: {
			look: (ctx) => (ctx as unknown as Context).call("inner.look"),
			// Code without access to the context.
			async lookElsewhere() {
				await new Promise(setImmediate);
				return this.broker.call("inner.look" as never);
			},
		},
	}),
];

const nodes = fakeNodes();

test.each([
	["in one process", () => nodes.start(services)],
	[
		"across processes",
		async () =>
			(
				await Promise.all([nodes.start(), nodes.start([services[0]!]), nodes.start([services[1]!])])
			)[0],
	],
])("%s a call's trace propagates to its nested calls, and to no others", async (_, start) => {
	const caller = await start();
	const call = (name: string, headers?: object) =>
		caller.call<unknown[], object>(name, {}, headers ? { headers } : {});
	for (const name of ["outer.look", "outer.lookElsewhere"]) {
		await eventually(() => call(name));
		const headers = { traceparent: one };
		expect(
			await Promise.all([call(name, headers), call(name), call(name, { traceparent: other })]),
		).toEqual([
			[one, one],
			["none", "none"],
			[other, other],
		]);
		expect(headers).toEqual({ traceparent: one });
		expect(await runInTrace(one, () => call(name))).toEqual([one, one]);
	}
});
