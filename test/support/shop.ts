import type { Middleware, ServiceBroker, ServiceSchema } from "moleculer";
import type {
	Call,
	Contract,
	Ctx,
	EventData,
	EventType,
	Meta,
	Mixin,
} from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import type { Infer, Value } from "../../lib/contracts/schema.ts";
import { Log } from "../../lib/observability/logging/log.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { type Env, readEnv } from "../../lib/settings/env.ts";
import { createNode, loadService, serviceNames } from "../../lib/settings/node.ts";
import { checkReturns } from "../../middlewares/check-returns.ts";
import { database, type HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { brokerOptions, openTraces } from "../../moleculer.config.ts";
import { type Databases, domains, services as folder, makeDatabases } from "./databases.ts";
import { assertResponseIsDocumented } from "./documented-responses.ts";
import { type Http, httpOf } from "./http.ts";
import { testSettings } from "./settings.ts";

export interface Shop {
	readonly broker: ServiceBroker;
	/** Calls an action, typed by its contract. */
	readonly call: Call;
	readonly env: Env;
	readonly databases: Databases;
	/** Address of the gateway. */
	readonly url: string;
	readonly http: Http;
	stop(): Promise<void>;
}

export const admin: Meta["user"] = {
	id: "019a0000-0000-7000-8000-00000000000a",
	email: "admin@example.com",
	role: "admin",
};
/** Options of a call by an administrator. */
export const asAdmin = { meta: { user: admin } };

/**
 * Starts services in this process, with new databases. If all services run, every response is
 * checked against the OpenAPI document.
 * @param options.services to start; all by default
 * @param options.stubs replace other services; a stub with the mixin `database` gets a database
 * @param options.middlewares outside all others
 * @param options.onLog receives each line of the log as JSON
 */
export async function startShop(
	options: {
		services?: string[];
		stubs?: ServiceSchema[];
		env?: Record<string, string>;
		middlewares?: Middleware[];
		onLog?: (line: string) => void;
	} = {},
): Promise<Shop> {
	const { services = serviceNames(folder), stubs = [] } = options;
	const stubsWithDatabase = stubs.filter(usesDatabase).map(({ name }) => name);
	const databases = await makeDatabases([
		...services.filter((name) => domains.includes(name)),
		...stubsWithDatabase,
	]);
	const env = readEnv({
		...testSettings,
		LOGLEVEL: process.env.LOGLEVEL ?? "fatal",
		PORT: "0",
		DATABASE_URL: databases.pattern,
		RATE_LIMIT_ENABLED: "false",
		...options.env,
	});
	const base = brokerOptions(
		env,
		await openTraces(env),
		new Log(env, options.onLog && { write: options.onLog }),
	);
	const schemas = await Promise.all(services.map((name) => loadService(folder, name)));
	let broker: ServiceBroker | undefined;
	try {
		broker = createNode(
			{
				...base,
				middlewares: [...(base.middlewares ?? []), checkReturns, ...(options.middlewares ?? [])],
			},
			env,
			[...schemas, ...stubs],
		);
		await broker.start();
	} catch (error) {
		await broker?.stop();
		await databases.drop();
		throw error;
	}
	const port = (
		broker.getLocalService("api") as { server?: { address(): { port: number } } } | undefined
	)?.server?.address().port;
	const url = `http://127.0.0.1:${port}`;
	return {
		broker,
		call: broker.call.bind(broker) as unknown as Call,
		env,
		databases,
		url,
		http: httpOf(url, options.services ? undefined : assertResponseIsDocumented),
		async stop() {
			await broker.stop();
			await databases.drop();
		},
	};
}

/** Whether a schema has the mixin `database`, at any depth. */
const usesDatabase = (schema: Partial<ServiceSchema>): boolean =>
	schema === database || [schema.mixins ?? []].flat().some(usesDatabase);

type Stubs<C extends Contract> = {
	[K in keyof C["actions"]]?: (
		ctx: Ctx<Infer<C["actions"][K]["params"]>>,
	) => Promise<Value<C["actions"][K]["returns"]>>;
};
/**
 * Stub of a service, made from its contract: parameters are validated and results checked as in the
 * real service. Actions that are not given fail. With the mixins `database` and `durableEvents` it
 * can publish the service's events, see `publisher`.
 */
export function stub<const C extends Contract>(
	contract: C,
	actions: Stubs<C>,
	...mixins: Mixin[]
): ServiceSchema {
	const missing = (name: string) => async () => {
		throw new Error(`${contract.name}.${name} is not stubbed`);
	};
	const all = Object.fromEntries(
		Object.keys(contract.actions)
			.filter((name) => !(name in eventActions))
			.map((name) => [name, actions[name] ?? missing(name)]),
	);
	// Without caches, so that tests can change results.
	const uncached = Object.fromEntries(
		Object.entries(contract.actions).map(([name, { cache: _, responseCache: __, ...action }]) => [
			name,
			action,
		]),
	);
	return defineService({ ...contract, actions: uncached } as Contract)({
		mixins,
		actions: all as never,
	});
}

/** Publishes an event through the outbox of a service in this process. */
export function publisher(broker: ServiceBroker, service: string) {
	const self = broker.getLocalService(service) as unknown as HasDatabase & HasDurableEvents;
	return <E extends EventType>(type: E, subject: string, data: EventData<E>): Promise<void> =>
		self.db.transaction((tx) => self.publish(tx, type, subject, data));
}
