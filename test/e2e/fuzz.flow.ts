import { Agent } from "node:http";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readContracts, routesOf } from "../../tools/documents/openapi.ts";
import { attacks } from "../../tools/fuzz/attacks.ts";
import { fuzzStreams } from "../../tools/fuzz/event-streams.ts";
import { fuzz } from "../../tools/fuzz/fuzz.ts";
import { fuzzProductChanges, setUpWith, streamsSetUpWith } from "../../tools/fuzz/set-up.ts";
import { findStalls } from "../../tools/fuzz/stalls.ts";
import { makeAdmin } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import type { AnyShop, Flow } from "./shape.ts";

const SEED = Number(process.env.FUZZ_SEED ?? 20260101);
/**
 * Requests per route by mode. The seed of a request is the sum of the first one and its number, so
 * that the modes send different requests.
 */
const SHARES = { cluster: { from: 0, count: 13 }, embedded: { from: 13, count: 12 } };
const STREAM_ROUNDS = 20;

export const fuzzing: Flow = (open, mode) => {
	const { from, count } = SHARES[mode];
	const seed = SEED + from;
	let shop: AnyShop;
	beforeAll(async () => {
		shop = await open();
	});
	afterAll(() => shop?.stop());

	const healthy = () =>
		eventually(async () => expect((await shop.http("GET /health")).body.status).toBe("healthy"));

	test(`generated requests receive only documented responses (seed ${seed})`, async () => {
		const routes = routesOf(await readContracts());
		const { requests, statuses, failures } = await fuzz({
			urls: shop.gateways.map(({ url }) => url),
			routes,
			setUp: setUpWith(shop, () => makeAdmin(shop)),
			seed,
			perRoute: count,
			// On a busy machine, a cluster may miss a node's heartbeat and reject requests.
			...(mode === "cluster" ? { recover: healthy } : {}),
		});
		expect(failures.slice(0, 5)).toEqual([]);
		expect(requests).toBe(routes.length * count);
		// The requests reached the services and were not only rejected by the gateway.
		const share = (from: number) =>
			Object.entries(statuses).reduce(
				(sum, [status, count]) => sum + (Math.floor(Number(status) / 100) === from ? count : 0),
				0,
			) / requests;
		expect(share(2)).toBeGreaterThan(0.05);
		expect(share(4)).toBeGreaterThan(0.3);
		await healthy();
	});

	test(`no gateway returns a product from before a completed change (seed ${SEED})`, async () => {
		expect(
			await fuzzProductChanges(shop.gateways, () => makeAdmin(shop), { seed: SEED, writes: 25 }),
		).toEqual([]);
	});

	test(`gateways survive pipelined, parallel or aborted event streams (seed ${seed})`, async () => {
		const failures = await fuzzStreams({
			urls: shop.gateways.map(({ url }) => url),
			setUp: streamsSetUpWith(shop, () => makeAdmin(shop)),
			seed,
			rounds: STREAM_ROUNDS,
		});
		expect(failures).toEqual([]);
		await healthy();
	});

	// Only where one event loop runs all services, so that this test observes each of them.
	if (mode === "cluster") return;
	test("no adversarial text of maximum length blocks an event loop", async () => {
		const urls = shop.gateways.map(({ url }) => url);
		const { token } = await makeAdmin(shop);
		const agent = new Agent({ keepAlive: true });
		const requests = attacks(routesOf(await readContracts()), token, ["@.", "passw", "a%40a."]);
		const { sent, stalls } = await findStalls(agent, urls[0]!, requests, urls);
		agent.destroy();
		expect(sent).toBeGreaterThan(200);
		expect(
			stalls.map(({ ms, request: { method, path } }) => `${method} ${path.slice(0, 100)}: ${ms}`),
		).toEqual([]);
	});
};
