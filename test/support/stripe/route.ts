import type { Form } from "./form.ts";
import type { State } from "./state.ts";

export interface ApiRequest {
	readonly form: Form;
	/** Value of `:id` in the route, or "". */
	readonly id: string;
	/** Path without the query. */
	readonly path: string;
	/** URL of the server, for pages to which a payer is redirected. */
	readonly baseUrl: string;
}
/** Executes a request. @throws ApiError */
export type Handler = (state: State, request: ApiRequest) => object;
/** Handlers by route, for example `GET /v1/refunds/:id`. */
export type Routes = Readonly<Record<string, Handler>>;
