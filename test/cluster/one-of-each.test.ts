import { afterAll, beforeAll, describe } from "@jest/globals";
import { type Pairs, startPairs } from "../support/pairs.ts";
import { describeWith } from "../support/servers.ts";
import { calls } from "./one-of-each/calls.ts";
import { adminConsole } from "./one-of-each/console.ts";
import { metrics } from "./one-of-each/metrics.ts";
import { operations } from "./one-of-each/operations.ts";

describeWith(
	["nats-server", "redis-server", "prometheus"],
	"a cluster with one node of each kind",
	() => {
		/** Shared, because starting it takes longer than most tests. */
		let pairs: Pairs;
		beforeAll(async () => {
			const env = { LOG_FORMAT: "json", LOGLEVEL: "info", EVENT_BACKOFF: "0.01" };
			pairs = await startPairs({ each: 1, env });
		});
		afterAll(() => pairs?.cluster.stop());
		const open = () => pairs;

		// First, because they require a cluster that has served no request.
		describe("metrics and logs", () => metrics(open));
		describe("calls between processes", () => calls(open));
		describe("operations", () => operations(open));
		describe("the admin console", () => adminConsole(open));
	},
);
