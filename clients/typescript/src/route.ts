/** Route of an action: the part of its contract that the client needs at run time. */
export interface Route {
	/** Method and path below /api: "POST /orders/:id/cancel". */
	readonly rest: string;
	/** The response is one page of a list. */
	readonly page?: true;
	/** The list has the parameter `after`: the ID of the last row of the previous page. */
	readonly keyset?: true;
	/** The response is an event stream. */
	readonly stream?: true;
	/** The body is a file of rows. */
	readonly upload?: true;
	/** The response is a file. */
	readonly download?: true;
	/** Name of the list parameter that is the body. */
	readonly bodyList?: string;
	/** Supports the Idempotency-Key header. */
	readonly idempotent?: true;
	/** Name of the header with a guest's secret. */
	readonly token?: string;
	/** Maximum duration of the action in milliseconds, if it is not the usual one. */
	readonly timeout?: number;
}
