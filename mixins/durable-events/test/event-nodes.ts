import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "@jest/globals";
import type { BrokerOptions, ServiceBroker, ServiceSchema } from "moleculer";
import { v7 as uuid } from "uuid";
import { contract, type ServiceThis } from "../../../lib/contracts/contract.ts";
import type { Event } from "../../../lib/contracts/event.ts";
import { eventActions } from "../../../lib/contracts/event-actions.ts";
import type { Subscriptions } from "../../../lib/messaging/subscriptions.ts";
import type { Tx } from "../../../lib/persistence/database.ts";
import { defineService } from "../../../lib/service/define-service.ts";
import { readEnv } from "../../../lib/settings/env.ts";
import { createNode } from "../../../lib/settings/node.ts";
import { brokerOptions } from "../../../moleculer.config.ts";
import { orders } from "../../../services/orders/orders.contract.ts";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import { type Server, startNats } from "../../../test/support/servers.ts";
import { publisher, stub } from "../../../test/support/shop.ts";
import { database, type HasDatabase } from "../../database.mixin.ts";
import { durableEvents } from "../../durable-events.mixin.ts";

interface Options {
	/** Services with a database; each test has new ones. */
	readonly producers: readonly string[];
	/** Consumer groups, which record events in the table `effects` of their database. */
	readonly groups: readonly string[];
	/** Limits of the NATS server of all tests; without it, events stay in the process. */
	readonly nats?: { readonly store?: string };
	readonly settings?: Readonly<Record<string, string>>;
	readonly logger?: BrokerOptions["logger"];
}

/** Registers hooks that create databases, and a stream of its own, for the nodes of each test. */
export function eventNodes({ producers, groups, nats: limits, settings, logger }: Options) {
	let folder: string;
	let nats: Server | undefined;
	let databases: Databases;
	let brokers: ServiceBroker[];
	let namespace: string;
	if (limits) {
		beforeAll(async () => {
			folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-stream-"));
			nats = await startNats(folder, limits);
		});
		afterAll(async () => {
			await nats?.stop();
			await rm(folder, { recursive: true, force: true });
		});
	}
	beforeEach(async () => {
		namespace = `t${uuid().slice(-8)}`;
		brokers = [];
		databases = await makeDatabases([...producers, ...groups]);
		for (const group of groups)
			await databases.query(
				group,
				"create table effects (event text not null, at bigint generated always as identity)",
			);
	});
	afterEach(async () => {
		await Promise.all(brokers.map((broker) => broker.stop()));
		await databases.drop();
	});

	return {
		/** Folder of NATS, which has its storage in `jetstream`. */
		get folder() {
			return folder;
		},
		get nats() {
			return nats!;
		},
		get databases() {
			return databases;
		},
		get namespace() {
			return namespace;
		},
		/** Name of the stream of the current test. */
		get stream() {
			return `EVENTS-${namespace}`;
		},
		async start(services: readonly ServiceSchema[], own: Readonly<Record<string, string>> = {}) {
			const env = readEnv({
				NODE_ENV: "test",
				LOGLEVEL: "fatal",
				DATABASE_URL: databases.pattern,
				DATABASE_POOL: "4",
				EVENT_BACKOFF: "0.01",
				...(nats ? { TRANSPORTER: nats.url, NAMESPACE: namespace } : {}),
				...settings,
				...own,
			});
			const options = { ...brokerOptions(env), ...(logger ? { logger } : {}) };
			const broker = createNode(options, env, [...services]);
			brokers.push(broker);
			await broker.start();
			return broker;
		},
		async stop(broker: ServiceBroker): Promise<void> {
			brokers = brokers.filter((one) => one !== broker);
			await broker.stop();
		},
		/** Type and subject of the events that a group has recorded, in the order of recording. */
		async effects(group = "shipping"): Promise<string[]> {
			const statement = "select event from effects order by at";
			const rows = await databases.query<{ event: string }>(group, statement);
			return rows.map(({ event }) => event);
		},
	};
}

/** The orders service with its events and without actions. */
export const producer = (): ServiceSchema => stub(orders, {}, database, durableEvents);

/** Records events in the transaction that consumes them. */
export async function recordEffects(tx: Tx, events: readonly Event[]): Promise<void> {
	await tx.query("insert into effects (event) select unnest($1::text[])", [
		events.map(({ type, subject }) => `${type} ${subject}`),
	]);
}

/** A consumer group with the name of a service, whose database it uses. */
export const consumer = (
	name: string,
	subscriptions: Subscriptions<ServiceThis & HasDatabase> = { "order.*": recordEffects },
): ServiceSchema =>
	defineService(contract({ name, actions: { ...eventActions } }))({
		mixins: [database, durableEvents],
		subscriptions,
		actions: {},
	});

export const eventData = () => ({
	order_id: uuid(),
	user_id: uuid(),
	total_amount: 1,
	currency: "EUR",
});

/** Publishes order events, each in its own transaction. */
export function orderPublisher(broker: ServiceBroker) {
	const publish = publisher(broker, "orders");
	return (type: "order.created" | "order.confirmed" | "order.shipped", id: string) =>
		publish(type, id, eventData());
}
export const makeIds = (count: number): string[] => Array.from({ length: count }, () => uuid());
