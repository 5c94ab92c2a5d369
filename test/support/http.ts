export interface HttpResponse {
	status: number;
	headers: Headers;
	// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
	body: any;
}
/** `http("POST /api/orders", { token, body })`; an object as body is sent as JSON, a string as it is. */
export type Http = (
	request: string,
	options?: { token?: string; body?: unknown; headers?: Record<string, string> },
) => Promise<HttpResponse>;

/** Sends requests to the gateway at this address. @param check looks at every answer, and throws when it should not be as it is */
export const httpOf =
	(url: string, check?: (method: string, path: string, answer: HttpResponse) => void): Http =>
	async (request, init) => {
		const answer = await send(url, request, init);
		const [method, path] = request.split(/ (.*)/s) as [string, string];
		check?.(method, path, answer);
		return answer;
	};

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
	const json = response.headers.get("content-type")?.includes("json");
	return {
		status: response.status,
		headers: response.headers,
		body: json && text ? JSON.parse(text) : text,
	};
}
