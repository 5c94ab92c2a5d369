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
/** Longer than the shop itself waits for anything. */
const PATIENCE_MS = 12_000;

/** Somebody who speaks to the shop through whichever gateway there is. */
export function client(urls: readonly string[], tally: Tally, dice: Random) {
	/** One request; an answer that did not come is undefined. */
	async function send(
		what: string,
		request: string,
		{ token, body, key, headers }: Request = {},
	): Promise<Response | undefined> {
		const [method, path] = request.split(" ") as [string, string];
		const sent = Date.now();
		try {
			const response = await fetch(dice.pick(urls) + path, {
				method,
				signal: AbortSignal.timeout(PATIENCE_MS),
				headers: {
					...(body ? { "content-type": "application/json" } : {}),
					...(token ? { authorization: `Bearer ${token}` } : {}),
					...(key ? { "idempotency-key": key } : {}),
					...headers,
				},
				...(body ? { body: JSON.stringify(body) } : {}),
			});
			const text = await response.text();
			const answer = { status: response.status, body: text ? JSON.parse(text) : null };
			const outcome = answer.status < 400 ? "done" : answer.status < 500 ? "refused" : "failed";
			tally.count(
				`${what} ${answer.status} ${answer.body?.code ?? answer.body?.status ?? ""}`.trim(),
				outcome,
				sent,
			);
			return answer;
		} catch {
			tally.count(`${what} unanswered`, "failed", sent);
			return undefined;
		}
	}
	return {
		send,
		/** Sends it again, as it is, until an answer says something; undefined when `given` says that it is too late. */
		async insist(
			what: string,
			request: string,
			options: Request,
			given: () => boolean,
		): Promise<Response | undefined> {
			for (let tries = 0; ; tries++) {
				const answer = await send(what, request, options);
				if (answer && saysSomething(answer)) return answer;
				if (given()) return undefined;
				await after(Math.min(1000, 50 * 2 ** tries) * (0.5 + dice.next()));
			}
		},
	};
}
export type Client = ReturnType<typeof client>;

const saysSomething = ({ status, body }: Response) =>
	status < 500 && status !== 429 && body?.code !== "IDEMPOTENCY_KEY_IN_USE";
