export interface HttpResponse {
	status: number;
	headers: Headers;
	// biome-ignore lint/suspicious/noExplicitAny: tests read bodies of any shape
	body: any;
}
/** `http("POST /api/orders", { token, body })`. Objects are sent as JSON, strings unchanged. */
export type Http = (
	request: string,
	options?: { token?: string; body?: unknown; headers?: Record<string, string> },
) => Promise<HttpResponse>;

/**
 * HTTP client of one gateway.
 * @param check receives every response and throws if it is invalid
 */
export const httpOf =
	(url: string, check?: (method: string, path: string, response: HttpResponse) => void): Http =>
	async (request, init) => {
		const response = await send(url, request, init);
		const [method, path] = request.split(/ (.*)/s) as [string, string];
		check?.(method, path, response);
		return response;
	};

/**
 * Asserts that a gateway has routes of the services. It learns those of a new service after 100 ms
 * without another change, and responds with 503 until then.
 */
export async function assertRoutes(url: string, services: ReadonlySet<string>): Promise<void> {
	const document = await (await fetch(`${url}/openapi.json`)).text();
	for (const service of services)
		if (!document.includes(`"operationId":"${service}.`))
			throw new Error(`${url} has no routes of ${service}`);
}

/** Sends a request to a gateway. */
export async function send(
	url: string,
	request: string,
	{ token, body, headers = {} }: Parameters<Http>[1] = {},
): Promise<HttpResponse> {
	const [method, path] = request.split(/ (.*)/s) as [string, string];
	const response = await fetch(url + path, {
		method,
		headers: {
			...(body === undefined ? {} : { "content-type": "application/json" }),
			...(token ? { authorization: `Bearer ${token}` } : {}),
			...headers,
		},
		...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
	});
	const text = await response.text();
	const json = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
	return {
		status: response.status,
		headers: response.headers,
		body: json && text ? JSON.parse(text) : text,
	};
}
