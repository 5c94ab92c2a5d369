import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import { contract } from "../lib/contracts/contract.ts";
import { eventActions } from "../lib/contracts/event-actions.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { database } from "../mixins/database.mixin.ts";
import { durableEvents } from "../mixins/durable-events.mixin.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { orders } from "../services/orders/orders.contract.ts";
import { type Databases, makeDatabases } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { cleanUp, makeDataFolder, runScript } from "../test/support/program.ts";
import { describeWith, type Server, startNats } from "../test/support/servers.ts";
import { publisher, stub } from "../test/support/shop.ts";

const STUCK = uuid();

describeWith(["nats-server"], "npm run repl", () => {
	let folder: string;
	let nats: Server;
	let databases: Databases;
	let broker: ServiceBroker;
	let broken: boolean;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-repl-"));
		nats = await startNats(folder);
		databases = await makeDatabases(["orders", "shipping"]);
		const env = readEnv({
			NODE_ENV: "test",
			LOGLEVEL: "fatal",
			TRANSPORTER: nats.url,
			DATABASE_URL: databases.pattern,
			EVENT_BACKOFF: "0.01",
		});
		broken = true;
		const group = contract({ name: "shipping", actions: { ...eventActions } });
		const consumer = defineService(group)({
			mixins: [database, durableEvents],
			subscriptions: {
				"order.created": async () => {
					if (broken) throw new Error("The carrier is on strike");
				},
			},
			actions: {},
		});
		const time = new Date().toISOString();
		const producer = stub(
			orders,
			{
				stuck: async () => ({
					count: 1,
					rows: [
						{
							id: STUCK,
							user_id: uuid(),
							status: "pending" as const,
							reason: "No way",
							created_at: time,
						},
					],
				}),
				timeline: async ({ params: { id } }) => ({
					order_id: id,
					status: "pending" as const,
					attempts: 2,
					entries: [
						{
							time,
							source: "inventory",
							kind: "step" as const,
							name: "inventory.reserved",
							detail: null,
							trace_id: null,
						},
					],
					incomplete: ["payments"],
				}),
			},
			database,
			durableEvents,
		);
		broker = createNode(brokerOptions(env), env, [producer, consumer]);
		await broker.start();
	}, 60_000);
	afterAll(async () => {
		await cleanUp();
		await broker?.stop();
		await databases?.drop();
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	const env = () => ({ NODE_ENV: "test", TRANSPORTER: nats.url, LOGLEVEL: "warn" });
	/** One command, as from a shell. */
	async function repl(...args: string[]) {
		const program = runScript("repl", env(), { args });
		const { code, errors } = await program.ended;
		return { code, errors, output: program.output() };
	}
	const deadLetter = async () => {
		const order_id = uuid();
		await publisher(broker, "orders")("order.created", order_id, {
			order_id,
			user_id: uuid(),
			total_amount: 1,
			currency: "EUR",
		});
		return eventually(async () => {
			const found = (await broker.call("shipping.deadLetters")) as {
				event_id: string;
				subject: string;
			}[];
			const letter = found.find(({ subject }) => subject === order_id);
			if (!letter) throw new Error("It is not dead yet");
			return letter.event_id;
		});
	};

	test("lists, shows, retries and discards dead letters, one or by filter", async () => {
		const [first, second] = [await deadLetter(), await deadLetter()];
		const list = await repl("dlq", "ls", "--type", "'order.*'");
		expect(list).toMatchObject({ code: 0, errors: expect.stringContaining("Not there: ") });
		for (const id of [first, second])
			expect(list.output).toMatch(
				new RegExp(`shipping +${id} +order.created .*The carrier is on strike`),
			);
		expect((await repl("dlq", "show", first)).output).toContain('"specversion": "1.0"');
		expect(await repl("dlq", "discard", first)).toMatchObject({
			code: 0,
			output: "shipping: 1 discarded\n",
		});
		expect(await repl("dlq", "show", first)).toMatchObject({
			code: 1,
			errors: expect.stringContaining("no such dead letter"),
		});
		broken = false;
		expect(
			await repl("dlq", "retry", "--service", "shipping", "--type", "order.created"),
		).toMatchObject({
			code: 0,
			output: "shipping: 1 will be tried again\n",
		});
		await eventually(async () =>
			expect(await broker.call("shipping.eventFigures")).toMatchObject({
				dead_letters: 0,
				retries: 0,
			}),
		);
		expect((await repl("events", "replay", "--group", "shipping")).output).toMatch(
			/^orders: \d+ told again$/m,
		);
	}, 120_000);

	test("lists the readers of the outboxes, and does not remove one that a node reads for", async () => {
		expect((await repl("events", "readers", "--service", "orders")).output).toMatch(
			/^orders +stream +\S+ +\d+\.\d s$/m,
		);
		expect(await repl("events", "remove-reader", "stream")).toMatchObject({
			code: 1,
			errors: expect.stringContaining("There is no such reader, or a node still reads for it"),
		});
	}, 120_000);

	test("ends with 1 and one clear word when something is wrong", async () => {
		expect(await repl("dlq", "retry")).toMatchObject({
			code: 1,
			errors: expect.stringMatching(/Say which/),
		});
		expect(await repl("dlq", "show")).toMatchObject({
			code: 1,
			errors: expect.stringContaining("usage: dlq show ID"),
		});
		expect(await repl("dlq", "burn")).toMatchObject({
			code: 1,
			errors: expect.stringMatching(/no command "dlq burn".*--help/),
		});
	}, 120_000);

	test("its prompt has moleculer's commands and the shop's own", async () => {
		broken = true;
		const id = await deadLetter();
		const home = await makeDataFolder();
		const program = runScript("repl", { ...env(), TERM: "xterm", HOME: home }, { terminal: true });
		await program.says(/mol \$/);
		program.type("dlq ls\r");
		await program.says(new RegExp(`${id} +order.created`));
		program.type("saga ls\r");
		await program.says(new RegExp(`${STUCK} +pending`));
		program.type(`orders trace ${STUCK}\r`);
		await program.says(/inventory +step +inventory\.reserved\s+Not there to be asked: payments/);
		program.type("breaker ls\r");
		await program.says(/All breakers are closed/);
		program.type("events status\r");
		await program.says(/shipping +0 +0\.0 s +\d+ +\d+ +1/);
		program.type("dlq show\r");
		await program.says(/usage: dlq show ID/);
		program.type("events\r");
		await program.says(/Event/);
		program.type("exit\r");
		expect(await program.ended).toMatchObject({ code: 0 });
	}, 120_000);
});
