import { type Client, createClient, ProblemError } from "../../clients/typescript/src/index.ts";
import type { Http } from "./http.ts";

/**
 * Client of a shop whose requests `http` sends, so that its checks of responses apply. One attempt,
 * because repeated requests would hide failures. Not for event streams, which `http` cannot read.
 * @param caller by default none
 */
export const clientOf = (
	{ http }: { readonly http: Http },
	caller: { readonly token?: string | undefined } = {},
): Client =>
	createClient({
		url: ORIGIN,
		fetch: fetchOf(http),
		attempts: 1,
		...(caller.token === undefined ? {} : { accessToken: caller.token }),
	});

/** Not used: `http` has the address of the shop. */
const ORIGIN = "http://shop.invalid";

const fetchOf =
	(http: Http): typeof fetch =>
	async (url, { method = "GET", headers, body } = {}) => {
		const response = await http(`${method} ${String(url).slice(ORIGIN.length)}`, {
			headers: headers as Record<string, string>,
			...(body ? { body: await new Response(body).text() } : {}),
		});
		const { status } = response;
		const isJson = typeof response.body !== "string";
		const text = isJson ? JSON.stringify(response.body) : response.body;
		const isEmpty = status === 204 || status === 304;
		return new Response(isEmpty ? null : text, { status, headers: response.headers });
	};

/** The problem of a request. @throws if it succeeds, or fails without a problem document */
export async function problemOf(request: PromiseLike<unknown>): Promise<ProblemError> {
	let result: unknown;
	try {
		result = await request;
	} catch (error) {
		if (error instanceof ProblemError) return error;
		throw error;
	}
	throw new Error(`The request succeeded: ${JSON.stringify(result)}`);
}
