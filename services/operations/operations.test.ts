import { afterEach, describe, expect, test } from "@jest/globals";
import type { BrokerOptions, ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Call } from "../../lib/contracts/contract.ts";
import { Log } from "../../lib/observability/logging/log.ts";
import { readEnv } from "../../lib/settings/env.ts";
import {
	consumer,
	eventNodes,
	orderPublisher,
	producer,
	recordEffects,
} from "../../mixins/durable-events/test/event-nodes.ts";
import { eventually } from "../../test/support/eventually.ts";
import { admin } from "../../test/support/shop.ts";
import operations from "./operations.service.ts";

const lines: Record<string, unknown>[] = [];
afterEach(() => void lines.splice(0));
const logger = new Log(readEnv({ NODE_ENV: "test", LOGLEVEL: "info", LOG_FORMAT: "json" }), {
	write: (line) => void lines.push(JSON.parse(line)),
}) as unknown as BrokerOptions["logger"];

const call = (broker: ServiceBroker): Call =>
	((action: string, params: object) =>
		broker.call(action, params, { meta: { user: admin } } as never)) as unknown as Call;
const rejected = (code: number, type: string) => expect.objectContaining({ code, type });

describe("dead letters of several services", () => {
	const nodes = eventNodes({ producers: ["orders"], groups: ["shipping", "payments"], logger });
	let broken = true;
	const failing = (name: string) =>
		consumer(name, {
			"order.*": async (tx, events) => {
				if (broken) throw new Error(`${name} is broken`);
				await recordEffects(tx, events);
			},
		});

	/** Starts the services, and publishes events of two types that both groups fail to process. */
	async function open() {
		broken = true;
		const broker = await nodes.start([
			producer(),
			failing("shipping"),
			failing("payments"),
			operations,
		]);
		const publish = orderPublisher(broker);
		const [created, shipped] = [uuid(), uuid()] as const;
		await publish("order.created", created);
		await publish("order.shipped", shipped);
		const shop = call(broker);
		await eventually(async () =>
			expect((await shop("operations.listDeadLetters")).rows).toHaveLength(4),
		);
		return { broker, shop, created, shipped };
	}

	test("are listed, filtered, paged by service and shown with their event", async () => {
		const { shop, created, shipped } = await open();
		const list = async (params: object) =>
			(await shop("operations.listDeadLetters", params)).rows.map(
				({ service, subject }) => `${service} ${subject}`,
			);
		expect((await list({})).sort()).toEqual(
			["payments", "shipping"]
				.flatMap((name) => [`${name} ${created}`, `${name} ${shipped}`])
				.sort(),
		);
		expect((await list({ type: "order.shipped" })).sort()).toEqual([
			`payments ${shipped}`,
			`shipping ${shipped}`,
		]);
		expect(await list({ limit: 1 })).toHaveLength(1);
		const [first] = (await shop("operations.listDeadLetters", { service: "shipping", limit: 1 }))
			.rows;
		const [second, ...rest] = (
			await shop("operations.listDeadLetters", { service: "shipping", after: first!.event_id })
		).rows;
		expect([first!.subject, second!.subject].sort()).toEqual([created, shipped].sort());
		expect(rest).toEqual([]);
		const { service, event_id } = first!;
		expect(await shop("operations.getDeadLetter", { service, event_id })).toMatchObject({
			...first,
			event: { id: event_id, type: first!.type },
			errors: [{ message: "shipping is broken" }, { message: "shipping is broken" }],
		});
		for (const service of ["shipping", "operations", "no-such-service"])
			await expect(shop("operations.getDeadLetter", { service, event_id: uuid() })).rejects.toEqual(
				rejected(404, "DEAD_LETTER_NOT_FOUND"),
			);
	});

	test("are retried by event, type, service or all, and take effect once", async () => {
		const { shop, created, shipped } = await open();
		const { rows } = await shop("operations.listDeadLetters", { service: "shipping" });
		const event_id = rows.find(({ subject }) => subject === created)!.event_id;
		broken = false;
		const retry = async (params: object) => (await shop("operations.retry", params)).count;
		expect(await retry({ service: "shipping", event_id })).toBe(1);
		await eventually(async () =>
			expect(await nodes.effects()).toEqual([`order.created ${created}`]),
		);
		expect(await retry({ service: "shipping", event_id })).toBe(0);
		expect(await retry({ type: "order.shipped" })).toBe(2);
		expect(await retry({})).toBe(1);
		expect(await retry({ all: true })).toBe(0);
		// The retries are processed by each group at its own pace.
		for (const group of ["payments", "shipping"])
			await eventually(async () =>
				expect((await nodes.effects(group)).sort()).toEqual([
					`order.created ${created}`,
					`order.shipped ${shipped}`,
				]),
			);
	});

	test("are discarded by service or all, and never by omission", async () => {
		const { shop } = await open();
		const discard = async (params: object) => (await shop("operations.discard", params)).count;
		for (const params of [{}, { all: false }, { all: true, service: "shipping" }])
			await expect(shop("operations.discard", params)).rejects.toEqual(
				rejected(422, "VALIDATION_ERROR"),
			);
		expect((await shop("operations.listDeadLetters")).rows).toHaveLength(4);
		expect(await discard({ service: "shipping" })).toBe(2);
		expect(await discard({ all: true })).toBe(2);
		expect(await shop("operations.listDeadLetters")).toMatchObject({ rows: [] });
	});

	test("of a service that is down are unavailable, and the others are listed", async () => {
		const { broker, shop } = await open();
		// The other services of the shop have never been available to this node.
		const before = (await shop("operations.queues")).unavailable;
		expect(before).toContain("inventory");
		expect(before).not.toContain("shipping");
		await broker.destroyService("shipping");
		const { rows, unavailable } = await shop("operations.listDeadLetters");
		expect(rows.map(({ service }) => service)).toEqual(["payments", "payments"]);
		expect(unavailable).toEqual([...before, "shipping"].sort());
		expect(await shop("operations.listDeadLetters", { service: "shipping" })).toEqual({
			rows: [],
			unavailable: ["shipping"],
		});
		await expect(
			shop("operations.getDeadLetter", { service: "shipping", event_id: uuid() }),
		).rejects.toEqual(rejected(503, "SERVICE_UNAVAILABLE"));
		expect(await shop("operations.discard", { all: true })).toEqual({ count: 2, unavailable });
		for (const service of ["operations", "no-such-service"])
			await expect(shop("operations.listDeadLetters", { service })).rejects.toEqual(
				rejected(422, "VALIDATION_ERROR"),
			);
	});

	test("a position requires its service, and one that no longer exists is the end", async () => {
		const { shop } = await open();
		await expect(shop("operations.listDeadLetters", { after: uuid() })).rejects.toEqual(
			rejected(422, "VALIDATION_ERROR"),
		);
		expect(
			await shop("operations.listDeadLetters", { service: "shipping", after: uuid() }),
		).toEqual({ rows: [], unavailable: [] });
	});

	test("retries and discards are logged with the user, the selection and the number", async () => {
		const { shop } = await open();
		await shop("operations.retry", { type: "order.created" });
		await shop("operations.discard", { service: "shipping" });
		expect(lines.filter(({ message }) => /administrator/.test(`${message}`))).toEqual([
			expect.objectContaining({
				level: "info",
				message: "An administrator retried dead letters",
				user_id: admin!.id,
				selection: { type: "order.created" },
				count: 2,
			}),
			expect.objectContaining({
				level: "info",
				message: "An administrator discarded dead letters",
				user_id: admin!.id,
				selection: { service: "shipping" },
			}),
		]);
	});

	test("queues list the backlog of each service with durable events", async () => {
		const { shop } = await open();
		const { services } = await shop("operations.queues");
		expect(services.map(({ service, dead_letters }) => [service, dead_letters])).toEqual([
			["orders", 0],
			["payments", 2],
			["shipping", 2],
		]);
	});
});
