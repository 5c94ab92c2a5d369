import { afterEach, expect, test } from "@jest/globals";
import type { Context, ServiceBroker, ServiceSchema } from "moleculer";
import { currentTraceparent, runInTrace } from "../lib/context/traceparent.ts";
import { contract } from "../lib/contracts/contract.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { eventually } from "../test/support/eventually.ts";

const one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

const action = { params: {}, returns: { type: "any" } } as const;
const inner = contract({ name: "inner", actions: { look: action } });
const outer = contract({ name: "outer", actions: { look: action, lookElsewhere: action } });
/** Answers the trace that the call says, and the one that is worked on. */
const look = async (ctx: unknown) => [
	(ctx as Context).headers.traceparent ?? "none",
	currentTraceparent() ?? "none",
];
const lookers = [
	defineService(inner)({ actions: { look: look as never } }),
	defineService(outer)({
		actions: {
			look: (ctx) => (ctx as unknown as Context).call("inner.look"),
			// As code does that has no context at hand.
			async lookElsewhere() {
				await new Promise(setImmediate);
				return this.broker.call("inner.look" as never);
			},
		},
	}),
];

const brokers: ServiceBroker[] = [];
async function startNode(...schemas: ServiceSchema[]): Promise<ServiceBroker> {
	const env = readEnv({ LOGLEVEL: "fatal", NODE_ENV: "test", DRAIN_MS: "1" });
	const broker = createNode({ ...brokerOptions(env), transporter: "Fake" }, env, schemas);
	brokers.push(broker);
	await broker.start();
	return broker;
}
afterEach(() => Promise.all(brokers.splice(0).map((broker) => broker.stop())));

test.each([
	["in one process", () => startNode(...lookers)],
	[
		"over several",
		async () =>
			(await Promise.all([startNode(), startNode(lookers[0]!), startNode(lookers[1]!)]))[0],
	],
])(
	"%s a call's trace goes on to the calls that it makes, and to nobody else's",
	async (_, start) => {
		const caller = await start();
		const ask = (name: string, headers?: object) =>
			caller.call<unknown[], object>(name, {}, headers ? { headers } : {});
		for (const name of ["outer.look", "outer.lookElsewhere"]) {
			await eventually(() => ask(name));
			const headers = { traceparent: one };
			expect(
				await Promise.all([ask(name, headers), ask(name), ask(name, { traceparent: other })]),
			).toEqual([
				[one, one],
				["none", "none"],
				[other, other],
			]);
			expect(headers).toEqual({ traceparent: one });
			expect(await runInTrace(one, () => ask(name))).toEqual([one, one]);
		}
	},
);
