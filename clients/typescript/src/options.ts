/** Options of a request. */
export interface RequestOptions {
	/** Cancels the request, also while it waits for another attempt. */
	readonly signal?: AbortSignal;
	readonly headers?: Readonly<Record<string, string>>;
	/** Access token of this request, instead of that of the session. It is not refreshed. */
	readonly accessToken?: string;
	/** Secret of a guest's cart: `token` of the response that opened it. */
	readonly cartToken?: string;
	/** Secret of a guest's order: `order_token` of the response that placed it. */
	readonly orderToken?: string;
	/** Milliseconds of an attempt after which it counts as lost; by default 30,000. */
	readonly timeout?: number;
	/** Attempts of a request; by default 4. */
	readonly attempts?: number;
}
/** Options of any action. */
export interface AnyOptions extends RequestOptions {
	readonly idempotencyKey?: string;
	readonly respondAsync?: boolean;
	readonly ifMatch?: string;
}

/** Options of a request, with those that it does not define from `defaults`. */
export function merge<O extends RequestOptions>(defaults: RequestOptions, given: O): O {
	const defined = Object.fromEntries(
		Object.entries(given).filter(([, value]) => value !== undefined),
	) as unknown as O;
	return { ...defaults, ...defined, headers: { ...defaults.headers, ...given.headers } };
}
