import { inspect } from "node:util";
import { afterAll, describe, expect, jest } from "@jest/globals";
import { loadService } from "../../lib/settings/node.ts";
import { makeAdmin } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { services } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { startShop } from "../support/shop.ts";
import { flows } from "./flows.ts";
import type { AnyShop } from "./shape.ts";

/** All services in this process. Without a mail server, administrators can read the messages. */
async function start(env?: Record<string, string>): Promise<AnyShop> {
	const logged: string[] = [];
	const levels = env ? (["debug", "info", "log", "warn", "error", "trace"] as const) : [];
	for (const level of levels) {
		const write = (...args: unknown[]) =>
			void logged.push(args.map((arg) => inspect(arg, { depth: 20 })).join(" "));
		jest.spyOn(console, level).mockImplementation(write);
	}
	const shop = await startShop(env ? { env, onLog: (line) => void logged.push(line) } : {});
	const { call, http, databases } = shop;
	return {
		call,
		http,
		databases,
		gateways: [{ url: shop.url, http }],
		secret: shop.env.JWT_SECRET!,
		async letter({ id }, template) {
			const { notifications } = clientOf(shop, await makeAdmin(shop));
			return eventually(async () => {
				const all = await notifications.list({ user_id: id });
				const found = all.find((one) => one.template === template && one.status === "kept");
				expect(found).toBeDefined();
				return (await notifications.get({ id: found!.id })).text;
			});
		},
		log: () => logged.join("\n"),
		async without(service, act) {
			await shop.broker.destroyService(service);
			await act();
			shop.broker.createService(await loadService(services, service));
			await shop.broker.waitForServices(service);
		},
		endGateway: () => shop.broker.stop(),
		async stop() {
			await shop.stop();
			jest.restoreAllMocks();
		},
	};
}

describe("all services in one process", () => {
	const started: AnyShop[] = [];
	/** Shared by the flows until one of them stops its gateway. */
	let shared: Promise<AnyShop> | undefined;
	afterAll(() => Promise.all(started.map((shop) => shop.stop())));

	async function startShared(): Promise<AnyShop> {
		const shop = await start();
		started.push(shop);
		return {
			...shop,
			async endGateway() {
				shared = undefined;
				await shop.endGateway();
			},
			stop: async () => undefined,
		};
	}
	function open(env?: Record<string, string>): Promise<AnyShop> {
		if (env) return start(env);
		shared ??= startShared();
		return shared;
	}

	for (const [name, flow] of Object.entries(flows)) describe(name, () => flow(open, "embedded"));
});
