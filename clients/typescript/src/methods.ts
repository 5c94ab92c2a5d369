import { type Credentials, fixedToken } from "./credentials.ts";
import { type Download, toDownload } from "./downloads.ts";
import { eventStream, type StreamOptions } from "./event-streams.ts";
import { type AnyOptions, merge, type RequestOptions } from "./options.ts";
import { readRows, toPage } from "./pages.ts";
import { ProblemError } from "./problems.ts";
import { type ApiRequest, type Body, type Params, toRequest } from "./requests.ts";
import { type ApiResponse, toResponse, toResult } from "./result.ts";
import type { Route } from "./route.ts";
import type { Transport } from "./transport.ts";
import { toUpload, type UploadFile, type UploadOptions, uploadHeaders } from "./uploads.ts";

/** Objects that every method needs. */
export interface Context {
	readonly send: Transport["send"];
	readonly credentials: Credentials;
	/** Options of every request. */
	readonly defaults: RequestOptions;
}
type Read<T> = (response: Response) => Promise<T>;

/** Creates the method of an action. */
export function methodOf(context: Context, route: Route): unknown {
	if (route.upload)
		return (file: UploadFile, options: UploadOptions) =>
			toUpload(() => openUpload(context, route, file, options));
	if (route.stream)
		return (params: Params = {}, options: StreamOptions = {}) =>
			openStream(context, route, params, options);
	if (route.page)
		return (params: Params = {}, options: RequestOptions = {}) =>
			toPage({
				params,
				keyset: route.keyset === true,
				load: (page) => send(context, route, page, options, readRows),
			});
	if (route.download)
		return (params: Params = {}, options: RequestOptions = {}) =>
			toResult<Download>(send(context, route, params, options, readDownload));
	return (params: Params = {}, options: AnyOptions = {}) =>
		toResult(send(context, route, params, options, readJson));
}

/** Calls an action and returns its result. */
export const call = async <T>(
	context: Context,
	route: Route,
	params: Params,
	options: RequestOptions = {},
): Promise<T> => (await send(context, route, params, options, readJson)).value as T;

const readJson: Read<ApiResponse<unknown>> = async (response) => {
	const text = await response.text();
	return toResponse(response, text === "" ? undefined : parse(response, text));
};
/** @throws ProblemError for a response of another program than a shop */
function parse({ status, headers }: Response, text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		const detail = "The response is not JSON: check the address of the shop";
		throw new ProblemError(status, { detail }, headers, 1);
	}
}
const readDownload: Read<ApiResponse<Download>> = async (response) =>
	toResponse(response, toDownload(response));

/** Sends the request of an action. @param change adapts it */
async function send<T>(
	{ send, credentials, defaults }: Context,
	route: Route,
	params: Params,
	given: AnyOptions,
	read: Read<T>,
	change: (request: ApiRequest) => ApiRequest = (request) => request,
): Promise<T> {
	const options = merge(defaults, given);
	const sending = {
		...options,
		timeout: options.timeout ?? route.timeout,
		credentials: options.accessToken === undefined ? credentials : fixedToken(options.accessToken),
		// A repeated change would find the version of the first attempt instead of the expected one.
		repeatable: options.ifMatch === undefined,
	};
	return send(change(toRequest(route, params, options)), sending, read);
}

function openUpload(
	context: Context,
	route: Route,
	file: UploadFile,
	options: UploadOptions,
): Promise<Response> {
	return send(
		context,
		route,
		{},
		{ ...options, timeout: UNLIMITED_MS },
		async (response) => response,
		(request) => ({
			...request,
			headers: { ...request.headers, ...uploadHeaders(options) },
			body: file as Body,
		}),
	);
}
/** The longest timer. */
const UNLIMITED_MS = 2 ** 31 - 1;

function openStream(
	context: Context,
	route: Route,
	{ after, ...params }: Params,
	options: StreamOptions,
) {
	const { signal, ...others } = merge(context.defaults, options);
	return eventStream(
		(lastEventId, connection, once) =>
			send(
				context,
				route,
				params,
				{ ...others, signal: connection, ...(once ? { attempts: 1 } : {}) },
				async (response) => (response.status === 204 ? null : response),
				(request) => ({
					...request,
					headers: {
						accept: "text/event-stream",
						...request.headers,
						...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
					},
				}),
			),
		typeof after === "string" ? after : undefined,
		{ ...options, ...(signal ? { signal } : {}) },
	);
}
