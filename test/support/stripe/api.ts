import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { readBody } from "./body.ts";
import type { RequestRecord } from "./dump.ts";
import {
	ApiError,
	invalidParameter,
	lockTimeout,
	rateLimited,
	serverError,
	unauthorized,
	unrecognizedUrl,
} from "./errors.ts";
import { expand } from "./expand.ts";
import type { FaultPlans, RequestFault } from "./faults.ts";
import { canonicalForm, decodeForm, type Form } from "./form.ts";
import type { Gate } from "./gate.ts";
import type { idempotencyKeys, StoredResponse } from "./idempotency.ts";
import { list } from "./params.ts";
import { matchRoute } from "./routes.ts";
import type { State } from "./state.ts";

export interface ApiDependencies {
	readonly state: State;
	readonly faults: FaultPlans;
	readonly keys: ReturnType<typeof idempotencyKeys>;
	readonly gate: Gate;
	readonly requests: RequestRecord[];
	readonly apiKey: string;
	readonly baseUrl: () => string;
}
/** Result of a request, or no response: the connection hangs or is reset. */
type Outcome = { readonly response: StoredResponse; readonly replayed: boolean } | "hang" | "reset";
type Route = NonNullable<ReturnType<typeof matchRoute>>;

interface Call extends Route {
	readonly path: string;
	readonly form: Form;
	readonly key: string | undefined;
	readonly requestId: string;
	readonly fault: RequestFault | undefined;
	readonly latencyMs: number;
}

/** Handles requests below /v1: authorization, faults, idempotency keys, routes, responses. */
export function apiHandler(dependencies: ApiDependencies) {
	const { faults, requests, apiKey } = dependencies;

	return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
		const requestId = `req_${randomBytes(7).toString("hex")}`;
		const key = request.headers["idempotency-key"] as string | undefined;
		const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
		const method = request.method ?? "GET";
		const route = matchRoute(method, path);
		const record: RequestRecord = {
			id: requestId,
			route: route?.route ?? `${method} ${path}`,
			idempotencyKey: key ?? null,
		};
		requests.push(record);
		const body = await readBody(request).catch(() => undefined);
		if (body === undefined) return;
		let outcome: Outcome;
		try {
			assertAuthorized(request.headers.authorization, apiKey);
			if (!route) throw unrecognizedUrl(method, path);
			const form = formOf(method === "POST" ? body : query);
			const { fault, latencyMs } = faults.forRequest(route.route);
			if (fault) record.fault = fault;
			const posted = method === "POST" ? key : undefined;
			outcome = await execute(
				{ ...route, path, form, key: posted, requestId, fault, latencyMs },
				dependencies,
			);
		} catch (error) {
			outcome = { response: errorResponse(error, requestId), replayed: false };
		}
		if (outcome === "hang") return; // Until the client or the stand-in closes the connection.
		if (outcome === "reset") return void request.socket.resetAndDestroy();
		record.status = outcome.response.status;
		if (outcome.replayed) record.replayed = true;
		send(response, outcome, { requestId, key, version: request.headers["stripe-version"] });
	};
}

/** @throws ApiError for a request whose response is not stored */
async function execute(call: Call, dependencies: ApiDependencies): Promise<Outcome> {
	const { fault, key } = call;
	if (fault === "timeoutBefore") return "hang";
	if (fault === "resetBefore") return "reset";
	if (fault === "rateLimit") throw rateLimited();
	if (fault === "lockTimeout") throw lockTimeout();
	const lookup = key
		? dependencies.keys.begin(key, call.path, canonicalForm(call.form))
		: undefined;
	const isReplay = lookup?.kind === "replay";
	if (isReplay) return afterEffect({ response: lookup.response, replayed: true }, fault);
	await dependencies.gate.passed();
	if (call.latencyMs > 0) await pause(call.latencyMs);
	const { response, stored } = run(call, dependencies);
	if (stored) lookup?.store(response);
	else lookup?.forget();
	return afterEffect({ response, replayed: false }, fault);
}

const afterEffect = (outcome: Outcome, fault: RequestFault | undefined): Outcome =>
	fault === "timeoutAfter" ? "hang" : fault === "resetAfter" ? "reset" : outcome;

/** Executes the handler. Synchronous, so that requests never see each other's partial changes. */
function run(
	{ handler, form, id, path, requestId, key, fault }: Call,
	{ state, baseUrl }: ApiDependencies,
): { response: StoredResponse; stored: boolean } {
	state.expireAuthorizations();
	state.origin = { id: requestId, idempotency_key: key ?? null };
	try {
		if (fault === "serverErrorBefore") throw serverError();
		const object = handler(state, { form, id, path, baseUrl: baseUrl() });
		if (fault === "serverErrorAfter") throw serverError();
		const body = expand(object, list(form, "expand") ?? [], state);
		return { response: { status: 200, body, requestId, shouldRetry: undefined }, stored: true };
	} catch (error) {
		const stored = error instanceof ApiError ? error.stored : true;
		return { response: errorResponse(error, requestId), stored };
	} finally {
		state.origin = null;
	}
}

function errorResponse(error: unknown, requestId: string): StoredResponse {
	if (error instanceof ApiError) {
		const { status, body, shouldRetry } = error;
		return { status, body: { error: body }, requestId, shouldRetry };
	}
	const message = `Defect of the stand-in: ${(error as Error).stack}`;
	return {
		status: 500,
		body: { error: { type: "api_error", message } },
		requestId,
		shouldRetry: false,
	};
}

/** @throws ApiError 401 */
function assertAuthorized(authorization: string | undefined, apiKey: string): void {
	if (!authorization)
		throw unauthorized("You did not provide an API key in the Authorization header.");
	if (authorization !== `Bearer ${apiKey}`) throw unauthorized("Invalid API Key provided.");
}

function formOf(text: string): Form {
	try {
		return decodeForm(text);
	} catch (error) {
		throw invalidParameter((error as Error).message, {});
	}
}

function send(
	response: ServerResponse,
	{
		response: { status, body, requestId: original, shouldRetry },
		replayed,
	}: Exclude<Outcome, string>,
	request: { requestId: string; key: string | undefined; version: string | string[] | undefined },
): void {
	const headers: Record<string, string | string[] | undefined> = {
		"content-type": "application/json",
		"request-id": request.requestId,
		"stripe-version": request.version,
		"idempotency-key": request.key,
		"stripe-should-retry": shouldRetry === undefined ? undefined : String(shouldRetry),
		"original-request": request.key ? original : undefined,
		"idempotent-replayed": replayed ? "true" : undefined,
	};
	for (const [name, value] of Object.entries(headers))
		if (value !== undefined) response.setHeader(name, value);
	response.statusCode = status;
	response.end(JSON.stringify(body, null, 2));
}
