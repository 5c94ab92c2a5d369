import { afterEach, expect, test } from "@jest/globals";
import { type Context, ServiceBroker } from "moleculer";
import { repeatCall } from "./repeat-call.ts";

let broker: ServiceBroker;
afterEach(() => broker.stop());

test("repeats a call with a context of its own, through all middlewares", async () => {
	const received: Context[] = [];
	const passed: unknown[] = [];
	broker = new ServiceBroker({
		logger: false,
		middlewares: [
			{
				localAction: (next: (ctx: Context) => unknown) => (ctx: Context) => {
					passed.push(ctx.params);
					return next(ctx);
				},
			} as object,
		],
	});
	broker.createService({
		name: "things",
		actions: {
			first: (ctx: Context) =>
				repeatCall(broker, ctx, "things.second", { params: { n: 2 }, timeout: 50 }),
			second(ctx: Context) {
				received.push(ctx);
				return ctx.meta;
			},
		},
	});
	await broker.start();
	const call = { meta: { user: "u" }, requestID: "r", timeout: 1000 };
	expect(await broker.call("things.first", { n: 1 }, call)).toEqual({ user: "u" });
	expect(passed).toEqual([{ n: 1 }, { n: 2 }]);
	expect(received[0]).toMatchObject({ requestID: "r", params: { n: 2 }, options: { timeout: 50 } });
});
