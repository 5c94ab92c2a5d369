import { setTimeout as after } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { Tally } from "./tally.ts";

export interface Response {
	readonly status: number;
	// biome-ignore lint/suspicious/noExplicitAny: whatever came
	readonly body: any;
}
interface Request {
	readonly token?: string;
	readonly body?: object;
	readonly key?: string;
	readonly headers?: Record<string, string>;
}
/** Longer than every timeout of the shop. */
const TIMEOUT_MS = 12_000;

/** An HTTP client that selects a random gateway for each request. */
export function client(urls: readonly string[], tally: Tally, rng: Random) {
	/** Sends one request. Undefined if there was no response. */
	async function send(
		what: string,
		request: string,
		{ token, body, key, headers }: Request = {},
	): Promise<Response | undefined> {
		const [method, path] = request.split(" ") as [string, string];
		const sent = Date.now();
		try {
			const response = await fetch(rng.pick(urls) + path, {
				method,
				signal: AbortSignal.timeout(TIMEOUT_MS),
				headers: {
					...(body ? { "content-type": "application/json" } : {}),
					...(token ? { authorization: `Bearer ${token}` } : {}),
					...(key ? { "idempotency-key": key } : {}),
					...headers,
				},
				...(body ? { body: JSON.stringify(body) } : {}),
			});
			const text = await response.text();
			const result = { status: response.status, body: text ? JSON.parse(text) : null };
			const outcome = result.status < 400 ? "done" : result.status < 500 ? "refused" : "failed";
			tally.count(
				`${what} ${result.status} ${result.body?.code ?? result.body?.status ?? ""}`.trim(),
				outcome,
				sent,
			);
			return result;
		} catch {
			tally.count(`${what} without response`, "failed", sent);
			return undefined;
		}
	}
	return {
		send,
		/** Repeats a request until a response is conclusive. Undefined once `expired` returns true. */
		async requestUntilDone(
			what: string,
			request: string,
			options: Request,
			expired: () => boolean,
		): Promise<Response | undefined> {
			for (let attempts = 0; ; attempts++) {
				const response = await send(what, request, options);
				if (response && isConclusive(response)) return response;
				if (expired()) return undefined;
				await after(Math.min(1000, 50 * 2 ** attempts) * (0.5 + rng.next()));
			}
		},
	};
}
export type Client = ReturnType<typeof client>;

const isConclusive = ({ status, body }: Response) =>
	status < 500 && status !== 429 && body?.code !== "IDEMPOTENCY_KEY_IN_USE";
