import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
	type BrokerOptions,
	Errors,
	Loggers,
	type ServiceBroker,
	type ServiceSchema,
} from "moleculer";
import { v7 as uuid } from "uuid";
import { runInTrace } from "../lib/context/traceparent.ts";
import { contract, type ServiceThis } from "../lib/contracts/contract.ts";
import type { Event } from "../lib/contracts/event.ts";
import type { Subscriptions } from "../lib/messaging/subscriptions.ts";
import type { Tx } from "../lib/persistence/database.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { orders } from "../services/orders/orders.contract.ts";
import { users } from "../services/users/users.contract.ts";
import { type Databases, makeDatabases } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { publisher, stub } from "../test/support/shop.ts";
import { expectTraces, tracedConsumer, traceOf } from "../test/support/traced-consumer.ts";
import { database, type HasDatabase } from "./database.mixin.ts";
import { durableEvents } from "./durable-events.mixin.ts";

let databases: Databases;
let brokers: ServiceBroker[];
/** Log lines of level warn or above, of all nodes. */
let complaints: string[];
beforeEach(async () => {
	databases = await makeDatabases(["users", "orders", "shipping", "payments"]);
	brokers = [];
	complaints = [];
	for (const group of ["shipping", "payments"])
		await databases.query(
			group,
			"create table effects (event text not null, at bigint generated always as identity)",
		);
});
afterEach(async () => {
	await Promise.all(brokers.map((broker) => broker.stop()));
	await databases.drop();
});

class Complaints extends Loggers.Base<object> {
	override getLogHandler() {
		return (level: string, args: unknown[]) => {
			if (["warn", "error", "fatal"].includes(level))
				complaints.push(`${level}: ${args.map((arg) => String(arg)).join(" ")}`);
		};
	}
}

/** Starts a process. After a stop, a new one can start on the same databases. */
async function start(...services: ServiceSchema[]): Promise<ServiceBroker> {
	const env = readEnv({
		NODE_ENV: "test",
		DATABASE_URL: databases.pattern,
		DATABASE_POOL: "4",
		EVENT_BACKOFF: "0.01,0.01",
	});
	const options: BrokerOptions = {
		...brokerOptions(env),
		logger: new Complaints() as unknown as BrokerOptions["logger"],
	};
	const broker = createNode(options, env, services);
	brokers.push(broker);
	await broker.start();
	return broker;
}

const producer = () => stub(orders, {}, database, durableEvents);
const otherProducer = () => stub(users, {}, database, durableEvents);
/** A consumer group under the name of a domain, whose database it uses. */
const consumer = (
	name: "shipping" | "payments",
	subscriptions: Subscriptions<ServiceThis & HasDatabase>,
) => {
	const group = contract({ name, actions: {} });
	return defineService(group)({
		mixins: [database, durableEvents],
		subscriptions: subscriptions,
		actions: {},
	});
};
/** Records events in the transaction that consumes them. */
const recordEffects = async (tx: Tx, found: readonly Event[]) => {
	await tx.query("insert into effects (event) select unnest($1::text[])", [
		found.map(({ type, subject }) => `${type} ${subject}`),
	]);
};
const effects = async (group = "shipping") =>
	(await databases.query<{ event: string }>(group, "select event from effects order by at")).map(
		({ event }) => event,
	);

const eventData = () => ({ order_id: uuid(), user_id: uuid(), total_amount: 1, currency: "EUR" });
/** Publishes order events, each in its own transaction. */
const publishTo = (broker: ServiceBroker) => {
	const publish = publisher(broker, "orders");
	return (type: "order.created" | "order.confirmed" | "order.shipped", id: string) =>
		publish(type, id, eventData());
};

test("calls and events of a handler are in the trace of its event", async () => {
	const broker = await start(producer(), ...tracedConsumer());
	const ids = Array.from({ length: 20 }, () => uuid());
	for (const id of ids) await runInTrace(traceOf(id), () => publishTo(broker)("order.created", id));
	await expectTraces(databases, ids);
});

test("an event that is too large fails its transaction, and later events are published", async () => {
	const broker = await start(producer(), consumer("shipping", { "order.*": recordEffects }));
	const huge = { ...eventData(), currency: "x".repeat(64 * 1024) };
	await expect(publisher(broker, "orders")("order.created", "1", huge)).rejects.toMatchObject({
		type: "EVENT_TOO_LARGE",
		data: { max: 64 * 1024 },
	});
	await publishTo(broker)("order.created", "2");
	await eventually(async () => expect(await effects()).toEqual(["order.created 2"]));
	expect(await databases.query("orders", "select from outbox")).toHaveLength(1);
});

test("a pattern matches all its events, and a handler of an exact type has precedence", async () => {
	const exact: string[] = [];
	const broker = await start(
		producer(),
		otherProducer(),
		consumer("shipping", {
			"order.*": recordEffects,
			"order.shipped": async (_tx, found) =>
				void exact.push(...found.map(({ subject }) => subject)),
		}),
	);
	const id = uuid();
	await publisher(broker, "users")("user.created", id, {
		user_id: id,
		email: "a@example.com",
		full_name: "A",
	});
	await publishTo(broker)("order.created", "1");
	await publishTo(broker)("order.shipped", "1");
	await publishTo(broker)("order.confirmed", "2");
	await eventually(async () =>
		expect(await effects()).toEqual(["order.created 1", "order.confirmed 2"]),
	);
	expect(exact).toEqual(["1"]);
	expect(await databases.query("shipping", "select from inbox")).toHaveLength(3);
});

test("events of one order are handled in order, in few calls", async () => {
	const types = ["order.created", "order.confirmed", "order.shipped"] as const;
	const calls: string[] = [];
	const handler = (type: (typeof types)[number]) => async (tx: Tx, found: readonly Event[]) => {
		calls.push(type);
		await recordEffects(tx, found);
	};
	const first = await start(producer());
	for (const type of types) for (const id of ["a", "b", "c"]) await publishTo(first)(type, id);
	await first.stop();
	await start(
		producer(),
		consumer("shipping", {
			"order.shipped": handler("order.shipped"),
			"order.confirmed": handler("order.confirmed"),
			"order.created": handler("order.created"),
		}),
	);
	await eventually(async () => expect(await effects()).toHaveLength(9));
	for (const id of ["a", "b", "c"])
		expect((await effects()).filter((event) => event.endsWith(id))).toEqual(
			types.map((type) => `${type} ${id}`),
		);
	expect(calls).toEqual([...types]);
});

test("a failing handler delays no other groups or events, and its event becomes a dead letter", async () => {
	const broker = await start(
		producer(),
		consumer("shipping", {
			"order.confirmed": async (tx, found) => {
				await recordEffects(tx, found);
				if (found.some(({ subject }) => subject === "bad")) throw new Error("Never this one");
			},
		}),
		consumer("payments", { "order.confirmed": recordEffects }),
	);
	for (const id of ["1", "bad", "2"]) await publishTo(broker)("order.confirmed", id);
	await eventually(async () =>
		expect((await effects("payments")).sort()).toEqual(
			["1", "2", "bad"].map((id) => `order.confirmed ${id}`),
		),
	);
	await eventually(async () =>
		expect((await effects()).sort()).toEqual(["order.confirmed 1", "order.confirmed 2"]),
	);
	await eventually(async () => {
		const letters = await databases.query(
			"shipping",
			"select attempts, event->>'subject' as subject from retries where dead_at is not null",
		);
		expect(letters).toEqual([{ attempts: 3, subject: "bad" }]);
	});
	expect(complaints.filter((line) => line.startsWith("error"))).toHaveLength(1);
});

test("redelivered events take no second effect", async () => {
	const first = await start(producer(), consumer("shipping", { "order.*": recordEffects }));
	for (const id of ["1", "2"]) await publishTo(first)("order.created", id);
	await eventually(async () => expect(await effects()).toHaveLength(2));
	await first.stop();
	await databases.query("orders", "update outbox_readers set seen = default");
	const second = await start(producer(), consumer("shipping", { "order.*": recordEffects }));
	await publishTo(second)("order.created", "3");
	await eventually(async () => expect(await effects()).toContain("order.created 3"));
	expect(await effects()).toEqual(["order.created 1", "order.created 2", "order.created 3"]);
});

test("no event is handled before all services of the process have started", async () => {
	const first = await start(producer());
	await publishTo(first)("order.created", "1");
	await first.stop();
	const started: boolean[] = [];
	const late = defineService(contract({ name: "late", actions: {} }))({
		async started() {
			// Enough time for an event to arrive too early.
			await new Promise((resolve) => setTimeout(resolve, 300));
		},
		actions: {},
	});
	await start(
		producer(),
		consumer("shipping", {
			"order.*": async function (tx, found) {
				started.push(this.broker.started);
				await recordEffects(tx, found);
			},
		}),
		late,
	);
	await eventually(async () => expect(await effects()).toEqual(["order.created 1"]));
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
	const first = await start(...services());
	const ids = Array.from({ length: 60 }, (_, i) => String(i));
	const published = (async () => {
		for (const id of ids.slice(0, 40)) await publishTo(first)("order.created", id);
	})();
	await eventually(async () => expect(await effects()).not.toEqual([]));
	await published;
	await first.stop();
	expect(complaints).toEqual([]);
	const second = await start(...services());
	for (const id of ids.slice(40)) await publishTo(second)("order.created", id);
	for (const group of ["shipping", "payments"])
		await eventually(async () =>
			expect(await effects(group)).toEqual(ids.map((id) => `order.created ${id}`)),
		);
	await second.stop();
	expect(complaints).toEqual([]);
});

test("a running handler finishes before databases close, and one that fails is retried", async () => {
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
	const first = await start(...services());
	await publishTo(first)("order.created", "1");
	await handling.promise;
	const stopped = first.stop();
	await eventually(() => expect(first.stopping).toBe(true));
	go.resolve();
	await stopped;
	expect(await effects()).toEqual(["order.created 1"]);
	expect(complaints).toEqual([]);
	blocked = false;
	await start(...services());
	await eventually(async () => expect(await effects("payments")).toEqual(["order.created 1"]));
	expect(await databases.query("payments", "select from retries")).toEqual([]);
	expect(await effects()).toEqual(["order.created 1"]);
});

test("a stopped group misses no event, and other groups continue", async () => {
	const group = () => consumer("shipping", { "order.*": recordEffects });
	const broker = await start(
		producer(),
		group(),
		consumer("payments", { "order.*": recordEffects }),
	);
	await publishTo(broker)("order.created", "1");
	await eventually(async () => expect(await effects()).toHaveLength(1));
	await broker.destroyService(broker.getLocalService("shipping")!);
	await publishTo(broker)("order.created", "2");
	await eventually(async () => expect(await effects("payments")).toHaveLength(2));
	expect(await effects()).toHaveLength(1);
	broker.createService(group());
	await eventually(async () =>
		expect(await effects()).toEqual(["order.created 1", "order.created 2"]),
	);
	expect(complaints).toEqual([]);
});
