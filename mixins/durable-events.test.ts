import { beforeEach, expect, test } from "@jest/globals";
import { type BrokerOptions, Errors, Loggers } from "moleculer";
import { v7 as uuid } from "uuid";
import { runInTrace } from "../lib/context/traceparent.ts";
import { contract } from "../lib/contracts/contract.ts";
import type { Event } from "../lib/contracts/event.ts";
import type { Tx } from "../lib/persistence/database.ts";
import { defineService } from "../lib/service/define-service.ts";
import { users } from "../services/users/users.contract.ts";
import { eventually } from "../test/support/eventually.ts";
import { publisher, stub } from "../test/support/shop.ts";
import { expectTraces, tracedConsumer, traceOf } from "../test/support/traced-consumer.ts";
import { database } from "./database.mixin.ts";
import {
	consumer,
	eventData,
	eventNodes,
	makeIds,
	orderPublisher,
	producer,
	recordEffects,
} from "./durable-events/test/event-nodes.ts";
import { durableEvents } from "./durable-events.mixin.ts";

/** Log lines of level warn or above, of all nodes. */
const warnings: string[] = [];
beforeEach(() => {
	warnings.length = 0;
});
class WarningLogger extends Loggers.Base<object> {
	override getLogHandler() {
		return (level: string, args: unknown[]) => {
			if (["warn", "error", "fatal"].includes(level))
				warnings.push(`${level}: ${args.map((arg) => String(arg)).join(" ")}`);
		};
	}
}
const nodes = eventNodes({
	producers: ["users", "orders"],
	groups: ["shipping", "payments"],
	settings: { EVENT_BACKOFF: "0.01,0.01" },
	logger: new WarningLogger() as unknown as BrokerOptions["logger"],
});
const otherProducer = () => stub(users, {}, database, durableEvents);

test("calls and events of a handler are in the trace of its event", async () => {
	const broker = await nodes.start([producer(), ...tracedConsumer()]);
	const ids = makeIds(20);
	for (const id of ids)
		await runInTrace(traceOf(id), () => orderPublisher(broker)("order.created", id));
	await expectTraces(nodes.databases, ids);
});

test("an event that is too large fails its transaction, but delays no other", async () => {
	const broker = await nodes.start([
		producer(),
		consumer("shipping", { "order.*": recordEffects }),
	]);
	const huge = { ...eventData(), currency: "x".repeat(64 * 1024) };
	await expect(publisher(broker, "orders")("order.created", "1", huge)).rejects.toMatchObject({
		type: "EVENT_TOO_LARGE",
		data: { max: 64 * 1024 },
	});
	await orderPublisher(broker)("order.created", "2");
	await eventually(async () => expect(await nodes.effects()).toEqual(["order.created 2"]));
	expect(await nodes.databases.query("orders", "select from outbox")).toHaveLength(1);
});

test("a pattern matches all its events, and a handler of an exact type wins", async () => {
	const exact: string[] = [];
	const broker = await nodes.start([
		producer(),
		otherProducer(),
		consumer("shipping", {
			"order.*": recordEffects,
			"order.shipped": async (_tx, found) =>
				void exact.push(...found.map(({ subject }) => subject)),
		}),
	]);
	const id = uuid();
	await publisher(broker, "users")("user.created", id, {
		user_id: id,
		email: "a@example.com",
		full_name: "A",
	});
	await orderPublisher(broker)("order.created", "1");
	await orderPublisher(broker)("order.shipped", "1");
	await orderPublisher(broker)("order.confirmed", "2");
	await eventually(async () =>
		expect(await nodes.effects()).toEqual(["order.created 1", "order.confirmed 2"]),
	);
	expect(exact).toEqual(["1"]);
	expect(await nodes.databases.query("shipping", "select from inbox")).toHaveLength(3);
});

test("events of one order are handled in order, in few calls", async () => {
	const types = ["order.created", "order.confirmed", "order.shipped"] as const;
	const calls: string[] = [];
	const handler = (type: (typeof types)[number]) => async (tx: Tx, found: readonly Event[]) => {
		calls.push(type);
		await recordEffects(tx, found);
	};
	const first = await nodes.start([producer()]);
	for (const type of types) for (const id of ["a", "b", "c"]) await orderPublisher(first)(type, id);
	await first.stop();
	await nodes.start([
		producer(),
		consumer("shipping", {
			"order.shipped": handler("order.shipped"),
			"order.confirmed": handler("order.confirmed"),
			"order.created": handler("order.created"),
		}),
	]);
	await eventually(async () => expect(await nodes.effects()).toHaveLength(9));
	for (const id of ["a", "b", "c"])
		expect((await nodes.effects()).filter((event) => event.endsWith(id))).toEqual(
			types.map((type) => `${type} ${id}`),
		);
	expect(calls).toEqual([...types]);
});

test("a failing handler delays no other event, and its event becomes a dead letter", async () => {
	const broker = await nodes.start([
		producer(),
		consumer("shipping", {
			"order.confirmed": async (tx, found) => {
				await recordEffects(tx, found);
				if (found.some(({ subject }) => subject === "bad")) throw new Error("Never this one");
			},
		}),
		consumer("payments", { "order.confirmed": recordEffects }),
	]);
	for (const id of ["1", "bad", "2"]) await orderPublisher(broker)("order.confirmed", id);
	await eventually(async () =>
		expect((await nodes.effects("payments")).sort()).toEqual(
			["1", "2", "bad"].map((id) => `order.confirmed ${id}`),
		),
	);
	await eventually(async () =>
		expect((await nodes.effects()).sort()).toEqual(["order.confirmed 1", "order.confirmed 2"]),
	);
	await eventually(async () => {
		const letters = await nodes.databases.query(
			"shipping",
			"select attempts, event->>'subject' as subject from retries where dead_at is not null",
		);
		expect(letters).toEqual([{ attempts: 3, subject: "bad" }]);
	});
	expect(warnings.filter((line) => line.startsWith("error"))).toHaveLength(1);
});

test("redelivered events take no second effect", async () => {
	const first = await nodes.start([producer(), consumer("shipping", { "order.*": recordEffects })]);
	for (const id of ["1", "2"]) await orderPublisher(first)("order.created", id);
	await eventually(async () => expect(await nodes.effects()).toHaveLength(2));
	await first.stop();
	await nodes.databases.query("orders", "update outbox_readers set seen = default");
	const second = await nodes.start([
		producer(),
		consumer("shipping", { "order.*": recordEffects }),
	]);
	await orderPublisher(second)("order.created", "3");
	await eventually(async () => expect(await nodes.effects()).toContain("order.created 3"));
	expect(await nodes.effects()).toEqual(["order.created 1", "order.created 2", "order.created 3"]);
});

test("no event is handled before all services of the process have started", async () => {
	const first = await nodes.start([producer()]);
	await orderPublisher(first)("order.created", "1");
	await first.stop();
	const started: boolean[] = [];
	const late = defineService(contract({ name: "late", actions: {} }))({
		async started() {
			await this.broker.waitForServices(["orders", "shipping"], 0, 10);
			// No condition shows that an event is held back; a delivery takes much less time.
			await new Promise((resolve) => setTimeout(resolve, 200));
		},
		actions: {},
	});
	await nodes.start([
		producer(),
		consumer("shipping", {
			"order.*": async function (tx, found) {
				started.push(this.broker.started);
				await recordEffects(tx, found);
			},
		}),
		late,
	]);
	await eventually(async () => expect(await nodes.effects()).toEqual(["order.created 1"]));
	expect(started).toEqual([true]);
});

test("a process that stops while handling events logs nothing and loses nothing", async () => {
	const services = () => [
		producer(),
		consumer("shipping", {
			"order.*": async (tx, found) => {
				await tx.query("select pg_sleep(0.01)");
				await recordEffects(tx, found);
			},
		}),
		consumer("payments", { "order.*": recordEffects }),
	];
	const first = await nodes.start(services());
	const ids = Array.from({ length: 60 }, (_, i) => String(i));
	const published = (async () => {
		for (const id of ids.slice(0, 40)) await orderPublisher(first)("order.created", id);
	})();
	await eventually(async () => expect(await nodes.effects()).not.toEqual([]));
	await published;
	await first.stop();
	expect(warnings).toEqual([]);
	const second = await nodes.start(services());
	for (const id of ids.slice(40)) await orderPublisher(second)("order.created", id);
	for (const group of ["shipping", "payments"])
		await eventually(async () =>
			expect(await nodes.effects(group)).toEqual(ids.map((id) => `order.created ${id}`)),
		);
	await second.stop();
	expect(warnings).toEqual([]);
});

test("a running handler finishes before databases close; one that fails is retried", async () => {
	const handling = Promise.withResolvers<void>();
	const go = Promise.withResolvers<void>();
	let blocked = true;
	const services = () => [
		producer(),
		consumer("shipping", {
			"order.*": async (tx, found) => {
				handling.resolve();
				if (blocked) await go.promise;
				await recordEffects(tx, found);
			},
		}),
		consumer("payments", {
			"order.*": async (tx, found) => {
				if (blocked) {
					await go.promise;
					throw new Errors.ServiceNotAvailableError({ action: "users.resolve" });
				}
				await recordEffects(tx, found);
			},
		}),
	];
	const first = await nodes.start(services());
	await orderPublisher(first)("order.created", "1");
	await handling.promise;
	const stopped = first.stop();
	await eventually(() => expect(first.stopping).toBe(true));
	go.resolve();
	await stopped;
	expect(await nodes.effects()).toEqual(["order.created 1"]);
	expect(warnings).toEqual([]);
	blocked = false;
	await nodes.start(services());
	await eventually(async () =>
		expect(await nodes.effects("payments")).toEqual(["order.created 1"]),
	);
	expect(await nodes.databases.query("payments", "select from retries")).toEqual([]);
	expect(await nodes.effects()).toEqual(["order.created 1"]);
});

test("a stopped group misses no event, and other groups continue", async () => {
	const group = () => consumer("shipping", { "order.*": recordEffects });
	const broker = await nodes.start([
		producer(),
		group(),
		consumer("payments", { "order.*": recordEffects }),
	]);
	await orderPublisher(broker)("order.created", "1");
	await eventually(async () => expect(await nodes.effects()).toHaveLength(1));
	await broker.destroyService(broker.getLocalService("shipping")!);
	await orderPublisher(broker)("order.created", "2");
	await eventually(async () => expect(await nodes.effects("payments")).toHaveLength(2));
	expect(await nodes.effects()).toHaveLength(1);
	broker.createService(group());
	await eventually(async () =>
		expect(await nodes.effects()).toEqual(["order.created 1", "order.created 2"]),
	);
	expect(warnings).toEqual([]);
});
