import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { connectStripe } from "./connect.ts";
import type { Controls } from "./controls.ts";
import { AUTHORIZED, clientOf } from "./test-shop.ts";

let child: ChildProcess;
let sdk: Stripe;
let controls: Controls;
let started: { url: string; seed: number };

beforeAll(async () => {
	const file = join(import.meta.dirname, "cli.ts");
	const args = ["--no-warnings", file, "--port", "0", "--seed", "7", "--api-key", "sk_test_x"];
	child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
	const [output] = (await once(child.stdout!, "data")) as [Buffer];
	started = JSON.parse(output.toString()) as typeof started;
	const { hostname: host, port } = new URL(started.url);
	sdk = clientOf({ apiKey: "sk_test_x", config: { host, port: Number(port), protocol: "http" } });
	controls = connectStripe(started.url);
});
afterAll(async () => {
	child.kill("SIGTERM");
	await once(child, "exit");
});

describe("a stand-in in its own process", () => {
	test("prints its URL and seed", () => {
		expect(started).toEqual({ url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), seed: 7 });
	});

	test("serves the API and the controls", async () => {
		const { id } = await sdk.paymentIntents.create(AUTHORIZED);
		await controls.advance(8 * 86_400);
		expect(await sdk.paymentIntents.retrieve(id)).toMatchObject({ status: "canceled" });
		const unpaid = await sdk.paymentIntents.create({ amount: 1000, currency: "eur" });
		expect(await controls.pay(unpaid.id)).toMatchObject({ status: "succeeded" });
		expect((await controls.dump()).paymentIntents).toHaveLength(2);
	});

	test("reports the errors of controls", async () => {
		await expect(controls.settle("pi_none")).rejects.toThrow("No such payment_intent");
		const unknown = controls as unknown as Record<string, () => Promise<void>>;
		await expect(unknown.explode!()).rejects.toThrow("No such control: explode");
	});
});
