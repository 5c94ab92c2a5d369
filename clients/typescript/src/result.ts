/** Value of a response with its status and headers. */
export interface ApiResponse<T> {
	readonly value: T;
	readonly status: number;
	readonly headers: Headers;
	/** Version of the resource, for `ifMatch`. */
	readonly etag: string | undefined;
	/** The request was repeated with its Idempotency-Key: this is the first response. */
	readonly replayed: boolean;
}
/** Promise of a result. `withResponse` also returns the status and headers of the response. */
export type Result<T> = Promise<T> & { withResponse(): Promise<ApiResponse<T>> };

export function toResult<T>(response: Promise<ApiResponse<T>>): Result<T> {
	const value = response.then((received) => received.value);
	return Object.assign(value, {
		withResponse() {
			// The caller handles the failure of the response instead.
			value.catch(() => undefined);
			return response;
		},
	});
}

export const toResponse = <T>({ status, headers }: Response, value: T): ApiResponse<T> => ({
	value,
	status,
	headers,
	etag: headers.get("etag") ?? undefined,
	replayed: headers.get("idempotent-replayed") === "true",
});
