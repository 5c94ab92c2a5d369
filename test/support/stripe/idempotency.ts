import { ApiError, invalidParameter } from "./errors.ts";

/** Response as it is stored under a key. */
export interface StoredResponse {
	readonly status: number;
	readonly body: unknown;
	readonly requestId: string;
	readonly shouldRetry: boolean | undefined;
}
/** Result of a lookup: execute the request and then call one function, or replay the response. */
export type Lookup =
	| { readonly kind: "execute"; store(response: StoredResponse): void; forget(): void }
	| { readonly kind: "replay"; readonly response: StoredResponse };

const MAX_KEY_LENGTH = 255;
const LIFETIME_MS = 24 * 3_600_000;

interface Entry {
	readonly fingerprint: string;
	readonly path: string;
	readonly startedAt: number;
	response: StoredResponse | undefined;
}

/**
 * Idempotency keys as in version 1 of the API, https://docs.stripe.com/api/idempotent_requests: a
 * key replays its first response, including a 500, for 24 hours.
 *
 * @param now milliseconds of the stand-in's clock
 */
export function idempotencyKeys(now: () => number) {
	const entries = new Map<string, Entry>();

	/**
	 * @param fingerprint text that is equal for requests with equal parameters
	 * @throws ApiError 400 for other parameters, 409 while the first request is in flight
	 */
	function begin(key: string, path: string, fingerprint: string): Lookup {
		if (key.length > MAX_KEY_LENGTH)
			throw invalidParameter(`Idempotency keys have at most ${MAX_KEY_LENGTH} characters.`, {});
		const known = entries.get(key);
		if (known && now() - known.startedAt < LIFETIME_MS)
			return repeated(key, path, fingerprint, known);
		const entry: Entry = { fingerprint, path, startedAt: now(), response: undefined };
		entries.set(key, entry);
		return {
			kind: "execute",
			store: (response) => {
				entry.response = response;
			},
			forget: () => {
				if (entries.get(key) === entry) entries.delete(key);
			},
		};
	}

	return { begin, clear: () => entries.clear() };
}

function repeated(key: string, path: string, fingerprint: string, known: Entry): Lookup {
	if (known.path !== path)
		throw conflict(
			400,
			`Keys for idempotent requests can only be used for the same endpoint they were first used ` +
				`for ('${known.path}' vs '${path}'). Try using a key other than '${key}'.`,
		);
	if (known.fingerprint !== fingerprint)
		throw conflict(
			400,
			`Keys for idempotent requests can only be used with the same parameters they were first ` +
				`used with. Try using a key other than '${key}'.`,
		);
	if (!known.response)
		throw conflict(
			409,
			`There is currently another in-progress request using this Idempotent Key: ${key}.`,
			"idempotency_key_in_use",
		);
	return { kind: "replay", response: known.response };
}

const conflict = (status: number, message: string, code?: string) =>
	new ApiError(
		status,
		{ type: "idempotency_error", message, ...(code && { code }) },
		{ stored: false },
	);
