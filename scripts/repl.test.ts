import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Context, ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import { contract, type Meta, throwError } from "../lib/contracts/contract.ts";
import { eventActions } from "../lib/contracts/event-actions.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode, serviceNames } from "../lib/settings/node.ts";
import { database } from "../mixins/database.mixin.ts";
import { durableEvents } from "../mixins/durable-events.mixin.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { orders } from "../services/orders/orders.contract.ts";
import { type Databases, makeDatabases, root, services } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { type Process, startProcess } from "../test/support/processes.ts";
import { cleanUp, makeDataFolder, type Running, runScript } from "../test/support/program.ts";
import { describeWith, type Server, startNats } from "../test/support/servers.ts";
import { testSettings } from "../test/support/settings.ts";
import { publisher, stub } from "../test/support/shop.ts";

const STUCK = uuid();
const CUSTOMER = "customer@example.com";
const TIME = new Date().toISOString();
/** Token of a node ID: milliseconds since 1970 in base 36, and six hexadecimal digits. */
const TOKEN = "[0-9a-z]{8}[0-9a-f]{6}";

type Received = Pick<Context<object, Meta>, "params" | "meta" | "requestID">;
/** Calls that the stub of the orders service has received. */
const received: Received[] = [];

const ordersStub = stub(
	orders,
	{
		list: async ({ params, meta, requestID }) => {
			received.push({ params, meta, requestID });
			return { total: 0, rows: [] };
		},
		get: async () => throwError(orders, "ORDER_NOT_FOUND"),
		stuck: async () => ({
			count: 1,
			rows: [
				{
					id: STUCK,
					user_id: uuid(),
					status: "pending" as const,
					reason: "No way",
					created_at: TIME,
				},
			],
		}),
		timeline: async ({ params: { id } }) => ({
			order_id: id,
			status: "pending" as const,
			attempts: 2,
			entries: [
				{
					time: TIME,
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

/** Services without which each command would spend its discovery time on waiting for them. */
const rest = serviceNames(services).filter(
	(name) => !["orders", "shipping", "users"].includes(name),
);

describeWith(["nats-server"], "npm run repl", () => {
	let folder: string;
	let nats: Server;
	let databases: Databases;
	let broker: ServiceBroker;
	let others: ServiceBroker;
	let users: Process;
	let customerId: string;
	/** `npm run repl` in a terminal. */
	let prompt: Running;
	let consumerFails = true;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-repl-"));
		nats = await startNats(folder);
		databases = await makeDatabases(["orders", "shipping", "users"]);
		const settings = {
			...testSettings,
			TRANSPORTER: nats.url,
			DATABASE_URL: databases.pattern,
			EVENT_BACKOFF: "0.01",
		};
		users = startProcess({
			name: "users",
			file: process.execPath,
			args: [join(root, "scripts/start.ts"), "--quiet"],
			env: { ...settings, SERVICES: "users", DATA_DIR: folder },
			log: join(folder, "users.log"),
		});
		const group = contract({ name: "shipping", actions: { ...eventActions } });
		const consumer = defineService(group)({
			mixins: [database, durableEvents],
			subscriptions: {
				"order.created": async () => {
					if (consumerFails) throw new Error("The carrier is on strike");
				},
			},
			actions: {},
		});
		const ordersEnv = readEnv({ ...settings, LOGLEVEL: "fatal", SERVICES: "orders,shipping" });
		broker = createNode(brokerOptions(ordersEnv), ordersEnv, [ordersStub, consumer]);
		const otherEnv = readEnv({ ...settings, LOGLEVEL: "fatal", SERVICES: rest.join(",") });
		const empty = rest.map((name) => ({ name }));
		others = createNode(brokerOptions(otherEnv), otherEnv, empty);
		await Promise.all([broker.start(), others.start()]);
		const started = eventually(() => {
			const found = broker.registry.getServiceList({ onlyAvailable: true });
			expect(found).toContainEqual(expect.objectContaining({ name: "users" }));
		});
		await Promise.race([started, users.failure]);
		const account = { password: "correct horse", is_verified: true, role: "user" };
		const customer = { ...account, email: CUSTOMER, full_name: "Zoe" };
		customerId = ((await broker.call("users.seed", customer)) as { id: string }).id;
		const HOME = await makeDataFolder();
		prompt = runScript("repl", { ...env(), TERM: "xterm", HOME }, { terminal: true });
		await prompt.waitForOutput(/mol \$/);
	});
	afterAll(async () => {
		await cleanUp();
		await Promise.all([broker?.stop(), others?.stop()]);
		await users?.kill();
		await databases?.drop();
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});
	beforeEach(() => {
		received.length = 0;
	});

	const env = () => ({ NODE_ENV: "test", TRANSPORTER: nats.url });
	/**
	 * Runs one command, as from a shell: arguments with special characters are quoted by the caller.
	 */
	const once = (...args: string[]) => onceIn({}, ...args);
	async function onceIn(settings: Record<string, string>, ...args: string[]) {
		const program = runScript("repl", { ...env(), ...settings }, { args });
		const { code, errors } = await program.ended;
		return { code, errors, output: program.output() };
	}

	/** Presses keys in the prompt, and waits for output that follows them. */
	async function type(keys: string, expected: RegExp): Promise<void> {
		const { length } = prompt.output();
		prompt.type(keys);
		await prompt.waitForOutput(new RegExp(`(?<=^[^]{${length},})${expected.source}`));
	}
	/** Enters a line in the prompt, and waits for its output. */
	const enter = (line: string, expected: RegExp) => type(`${line}\r`, expected);

	describe("one-shot mode", () => {
		test("call prints the result of an action with JSON parameters", async () => {
			const { code, output } = await once("call", "orders.list", `'{"limit":5}'`);
			expect({ code, output }).toEqual({ code: 0, output: "{ total: 0, rows: [] }\n" });
			expect(received).toMatchObject([{ params: { limit: 5 } }]);
		});

		test("call --json prints nothing but JSON on stdout", async () => {
			const { code, output } = await once("call", "orders.list", "--limit", "7", "--json");
			expect(code).toBe(0);
			expect(JSON.parse(output)).toEqual({ total: 0, rows: [] });
			expect(received).toMatchObject([{ params: { limit: 7 } }]);
		});

		test("calls run as an administrator", async () => {
			const { code, output } = await once("call", "users.list", "--json");
			expect(code).toBe(0);
			const { rows } = JSON.parse(output);
			expect(rows).toContainEqual(expect.objectContaining({ id: customerId, email: CUSTOMER }));
		});

		test("nodes lists what each node runs, by id and by services", async () => {
			const { code, output } = await once("nodes");
			expect(code).toBe(0);
			const host = hostname();
			expect(output).toMatch(
				new RegExp(`^orders\\+shipping-${host}-${TOKEN} +orders, shipping +${host} `, "m"),
			);
			expect(output).toMatch(new RegExp(`^users-${host}-${TOKEN} +users +${host} `, "m"));
			expect(output).toMatch(
				new RegExp(`^api\\+auth\\+${rest.length - 2}-${host}-${TOKEN} +api, auth, `, "m"),
			);
			expect(output).toMatch(new RegExp(`^repl-${host}-${TOKEN} +- `, "m"));
			const nodes = JSON.parse((await once("nodes", "--filter", "users", "--json")).output);
			expect(nodes).toMatchObject([{ services: ["users"] }]);
		});

		test("actions --filter lists the matching actions", async () => {
			const { code, output } = await once("actions", "--filter", "orders");
			expect(code).toBe(0);
			expect(output).toMatch(/^orders\.cancel +1 +owner +id, reason$/m);
			expect(output).not.toMatch(/users\.list/);
			const found = JSON.parse((await once("actions", "--filter", "users.l", "--json")).output);
			expect(found).toMatchObject([
				{ name: "users.list", nodes: 1, access: "admin" },
				{ name: "users.listAddresses", nodes: 1, access: "owner" },
			]);
		});

		test("an error is one block of type, message and fields, with exit code 1", async () => {
			const { code, errors, output } = await once("call", "orders.list", "--limit", "0");
			expect({ code, output }).toEqual({ code: 1, output: "" });
			expect(errors).toMatch(
				/\nVALIDATION_ERROR \(422\): .+\n {2}limit +\S.*\n {2}node +orders\+shipping-\S+$/,
			);
			expect(errors).not.toMatch(/^\s+at /m);
		});

		test("an error with --json is a JSON object on stderr, with exit code 1", async () => {
			const { code, errors, output } = await once("call", "orders.get", "--id", STUCK, "--json");
			expect({ code, output }).toEqual({ code: 1, output: "" });
			expect(JSON.parse(/^\{[\s\S]*/m.exec(errors)![0])).toMatchObject({
				error: { type: "ORDER_NOT_FOUND", code: 404, node: broker.nodeID },
			});
		});

		test("an unknown action is an error", async () => {
			expect(await once("call", "orders.burn")).toMatchObject({
				code: 1,
				errors: expect.stringMatching(
					/\nSERVICE_NOT_FOUND \(404\): .*\n {2}action {2}orders\.burn/,
				),
			});
		});

		test("the log names the operator once per command; nodes receive only an id", async () => {
			const { errors } = await once("call", "orders.list");
			const fields = /INFO: repl Operator command (.*)/.exec(errors)![1]!;
			const [{ requestID, meta }] = received as [Received];
			expect(JSON.parse(fields)).toMatchObject({
				command: "call",
				action: "orders.list",
				operator: userInfo().username,
				host: hostname(),
				request_id: requestID,
				user_id: meta.user!.id,
			});
			expect(Object.keys(meta)).toEqual(["user"]);
			expect(users.log()).not.toContain(CUSTOMER);
		});

		test("unavailable services are reported on stderr", async () => {
			const { code, errors, output } = await onceIn({ NAMESPACE: "empty" }, "nodes");
			expect(code).toBe(0);
			expect(errors).toMatch(/^Unavailable services: api, .*users$/m);
			expect(output).toMatch(/^NODE .*\nrepl-.*\n$/);
		});

		test("a wrong command line ends with 1 and shows the usage", async () => {
			expect(await once("dlq", "show")).toMatchObject({
				code: 1,
				errors: expect.stringContaining("usage: dlq show ID"),
			});
			expect(await once("dlq", "burn")).toMatchObject({
				code: 1,
				errors: expect.stringMatching(/no command "dlq burn".*--help/),
			});
			expect(await once("as", CUSTOMER)).toMatchObject({
				code: 1,
				errors: expect.stringContaining("works only in the prompt"),
			});
		});

		test("--help shows all commands, or the usage and examples of one", async () => {
			expect(await once("--help")).toMatchObject({
				code: 0,
				output: expect.stringMatching(/^dlq ls +List dead letters/m),
			});
			expect(await once("dlq", "ls", "--help")).toMatchObject({
				code: 0,
				output: expect.stringMatching(/Usage: dlq ls .*\nExamples:\n {2}dlq ls\n/),
			});
		});
	});

	describe("event commands", () => {
		/** Publishes an event that the consumer fails to process. Returns its id. */
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
				if (!letter) throw new Error("The event is not a dead letter yet");
				return letter.event_id;
			});
		};

		test("list, show, retry and discard dead letters, one or by filter", async () => {
			const [first, second] = [await deadLetter(), await deadLetter()];
			const list = await once("dlq", "ls", "--type", "'order.*'");
			expect(list.code).toBe(0);
			for (const id of [first, second])
				expect(list.output).toMatch(
					new RegExp(`shipping +${id} +order.created .*The carrier is on strike`),
				);
			await enter(`dlq show ${first}`, /"specversion": "1\.0"/);
			await enter(`dlq discard ${first}`, /shipping: 1 discarded/);
			await enter(`dlq show ${first}`, /Dead letter not found/);
			await enter("dlq retry", /VALIDATION_ERROR|at least one field|Say which/);
			await enter("events status", /shipping +0 +0\.0 s +\d+ +\d+ +1/);
			consumerFails = false;
			await enter(
				"dlq retry --service shipping --type 'order.created'",
				/shipping: 1 scheduled for retry/,
			);
			await eventually(async () =>
				expect(await broker.call("shipping.eventFigures")).toMatchObject({
					dead_letters: 0,
					retries: 0,
				}),
			);
			await enter("events replay --group shipping", /orders: \d+ published again/);
		});

		test("list the checkpoints of the outboxes, and keep one that a node uses", async () => {
			await enter("events checkpoints --service orders", /orders +stream +\S+ +\d+\.\d s/);
			await enter(
				"events remove-checkpoint stream",
				/There is no checkpoint named stream, or a node still uses it/,
			);
		});
	});

	describe("prompt", () => {
		test("has commands for orders and circuit breakers", async () => {
			await enter("saga ls", new RegExp(`${STUCK} +pending`));
			await enter(
				`orders trace ${STUCK}`,
				/inventory +step +inventory\.reserved\s+Unavailable services: payments/,
			);
			await enter("breaker ls", /All breakers are closed/);
			await enter("dlq show", /usage: dlq show ID/);
			await enter("call orders.list []", /PARAMS must be a JSON object/);
		});

		test("`as EMAIL` switches to that user, and `as` back to an administrator", async () => {
			await enter("call users.list", new RegExp(CUSTOMER));
			await enter(`as ${CUSTOMER}`, /mol \(customer@example\.com\) \$/);
			await enter("call users.me", new RegExp(customerId));
			await enter("call users.list", /FORBIDDEN \(403\): Insufficient permissions\s+node +users-/);
			await enter("as nobody@example.com", /No active user has the address nobody@example\.com/);
			await enter("as", /an administrator\s[\s\S]*mol \$/);
			await enter("call users.list", new RegExp(customerId));
		});

		test("runs moleculer's own commands as the operator, without stacks", async () => {
			const { id } = broker.registry
				.getNodeList({ onlyAvailable: true })
				.find(({ id }) => id.startsWith("users-"))!;
			await enter(`dcall ${id} users.list`, new RegExp(customerId));
			await enter(`dcall ${id} users.get --id ${STUCK}`, /USER_NOT_FOUND \(404\): User not found/);
			await enter("bench users.list --num 20", /20 requests in .*0 error/);
			await enter("nodes --details", /Node ID[\s\S]*users/);
			await enter("events", /Group/);
			expect(prompt.output()).not.toMatch(/^\s+at /m);
			expect(prompt.output()).toMatch(/Operator command.*"command":"call","action":"users\.list"/);
		});

		test("the tab key completes actions and commands", async () => {
			await type("call users.li\t", /st/);
			await type("\r", new RegExp(customerId));
			await type("saga re\t", /try/);
			await type(` ${STUCK}\r`, /orders\.retry is not stubbed/);
		});

		test("`help call` shows the usage with an example", async () => {
			await enter("help call", /Usage: call ACTION[\s\S]*call orders\.list '\{"limit":5\}'/);
			await enter("help dlq", /dlq ls[\s\S]*dlq show[\s\S]*dlq discard/);
			await enter("help", /dlq retry +Retry a dead letter/);
		});

		test("`exit` ends the program with code 0", async () => {
			prompt.type("exit\r");
			expect(await prompt.ended).toMatchObject({ code: 0 });
		});
	});
});
