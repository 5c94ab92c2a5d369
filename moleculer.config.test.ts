import { hostname } from "node:os";
import { describe, expect, test } from "@jest/globals";
import { readEnv } from "./lib/settings/env.ts";
import { brokerOptions } from "./moleculer.config.ts";

/** Milliseconds since 1970 in base 36, and six hexadecimal digits. */
const TOKEN = "[0-9a-z]{8}[0-9a-f]{6}";

test("a stopping node waits as long as a call without a time limit of its own may take", () => {
	const { tracking, requestTimeout } = brokerOptions(readEnv({ NODE_ENV: "test" }));
	expect(tracking!.shutdownTimeout).toBeGreaterThanOrEqual(requestTimeout!);
});

describe("node ids", () => {
	const idOf = (settings: Record<string, string>) =>
		brokerOptions(readEnv({ NODE_ENV: "test", ...settings })).nodeID;
	const host = hostname();
	test.each([
		["all services", {}, `shop-${host}`],
		["one service", { SERVICES: "orders" }, `orders-${host}`],
		["some services", { SERVICES: "auth, users" }, `auth\\+users-${host}`],
		[
			"many services",
			{ SERVICES: "auth,users,orders,payments,products,inventory" },
			`auth\\+users\\+4-${host}`,
		],
		["NODEID", { SERVICES: "orders", NODEID: "web-1" }, "web-1"],
	])("begin with %s", (_, settings, prefix) => {
		expect(idOf(settings)).toMatch(new RegExp(`^${prefix}-${TOKEN}$`));
	});
});
