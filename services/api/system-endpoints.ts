import type { ServiceBroker } from "moleculer";
import { commonErrors, RETRY_AFTER_SECONDS } from "../../lib/contracts/errors.ts";
import {
	checkDependencies,
	type DependencyCheck,
	readinessResponse,
} from "../../lib/health/probes.ts";
import { version } from "../../lib/process/version.ts";
import { envOf } from "../../lib/settings/env.ts";
import { healthCheck } from "./cluster-health.ts";
import { messageFrame } from "./console/message-frame.ts";
import { consolePages } from "./console/page.ts";
import { consoleSession } from "./console/session.ts";
import { demoImages } from "./demo-images/demo-images.ts";
import { asyncapi, eventServices } from "./documentation/asyncapi.ts";
import {
	type Document,
	document,
	documentResponse,
	perRevision,
} from "./documentation/documents.ts";
import { openapi } from "./documentation/openapi.ts";
import type { ErrorCatalogue } from "./documentation/openapi-responses.ts";
import { docsAssets, docsPage, errorsPage } from "./documentation/pages.ts";
import {
	type Gateway,
	type Handler,
	type HttpResponse,
	type Request,
	type RouteTable,
	sendResponse,
} from "./http/exchange.ts";
import { linkPages } from "./link-pages/link-pages.ts";
import { orderPage } from "./link-pages/order-page.ts";

type Page = (gateway: Gateway, req: Request) => Promise<HttpResponse>;
const json = (content: object, status = 200): HttpResponse => ({
	status,
	headers: {
		"Cache-Control": "no-store",
		...(status === 503 ? { "Retry-After": String(RETRY_AFTER_SECONDS) } : {}),
	},
	body: JSON.stringify(content),
});

/** Returns the handlers of the system endpoints. @param names names of the shop's services */
export function systemEndpoints(
	broker: ServiceBroker,
	names: readonly string[],
): Record<string, Handler> {
	const health = healthCheck(broker, names);
	const openApi = perRevision((table: RouteTable) =>
		document(JSON.stringify(openapi(table.list(), errorsOf(broker), version))),
	);
	// Services, events and errors in the registry change only together with the routes.
	const asyncApi = perRevision(() => {
		const { NAMESPACE: namespace } = envOf(broker);
		return document(JSON.stringify(asyncapi(eventServices(broker), { version, namespace })));
	});
	const errors = perRevision(() => errorsPage({ ...commonErrors, ...errorsOf(broker) }));
	const assets = Object.entries({ ...docsAssets, ...demoImages }).map(([route, load]) => [
		route,
		documentPage(load),
	]);
	return {
		"GET /": page(async () => json({ message: "The API is running", docs: "/docs" })),
		"GET /health": page(async () => json(await health())),
		"GET /health/live": page(async () => json({ status: "alive" })),
		"GET /health/ready": page(readiness("ready")),
		"GET /health/serving": page(readiness("serving")),
		"GET /openapi.json": documentPage(async ({ table }) => openApi(table)),
		"GET /asyncapi.json": documentPage(async ({ table }) => asyncApi(table)),
		"GET /docs": documentPage(async () => docsPage),
		"GET /docs/errors": documentPage(async ({ table }) => errors(table)),
		...Object.fromEntries(assets),
		...consolePages,
		...consoleSession,
		...messageFrame,
		...linkPages,
		...orderPage,
	};
}

/** Returns the errors that the services of the live cluster declare. */
function errorsOf({ registry }: ServiceBroker): ErrorCatalogue {
	const services = registry.getServiceList({ withActions: false, skipInternal: true });
	const all = services.flatMap(({ metadata }) =>
		Object.entries((metadata?.errors ?? {}) as ErrorCatalogue),
	);
	return Object.fromEntries(all);
}

const checks = new WeakMap<ServiceBroker, Promise<DependencyCheck>>();
/**
 * Checks the dependencies of this node; concurrent requests share one check. They are exempt from
 * the rate limit, and each check is a round trip to every server and database.
 */
function sharedCheck(broker: ServiceBroker): Promise<DependencyCheck> {
	const running =
		checks.get(broker) ?? checkDependencies(broker).finally(() => checks.delete(broker));
	checks.set(broker, running);
	return running;
}

/** Fails while this node starts or stops, or while one of its dependencies does not respond. */
const readiness =
	(probe: Parameters<typeof readinessResponse>[0]): Page =>
	async ({ broker, listener }) => {
		const check = await sharedCheck(broker);
		// broker.started becomes false when the broker begins to stop, before the listener closes.
		const isOpen = broker.started && !listener.closing;
		const { status, content } = readinessResponse(probe, check, isOpen);
		return json(content, status);
	};

const page = (content: Page): Handler =>
	function (req, res, next) {
		content(this, req)
			.then((found) => sendResponse(this, req, res, found))
			.catch(next);
	};
const documentPage = (load: (gateway: Gateway) => Promise<Document>): Handler =>
	page(async (gateway, req) => documentResponse(req, await load(gateway)));
