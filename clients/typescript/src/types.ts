import type { ActionName, ActionsOf, ContractOf, Published, ServiceName } from "./actions.ts";
import type { Contracts, Infer, Input, Value } from "./contracts.ts";
import type { Download } from "./downloads.ts";
import type { EventStream, StreamOptions } from "./event-streams.ts";
import type { RequestOptions } from "./options.ts";
import type { Page } from "./pages.ts";
import type { Result } from "./result.ts";
import type { Upload, UploadFile, UploadOptions } from "./uploads.ts";

/** Parameters of an action: those of its path, its query and its body. */
export type ParamsOf<A extends ActionName> = ParamsOfContract<ContractOf<A>>;
type ParamsOfContract<A> = A extends { params: infer P } ? Input<P> : never;
/** Result of an action: the JSON value of its response. For a page, a list of rows. */
export type ResultOf<A extends ActionName> = ResultOfContract<ContractOf<A>>;
type ResultOfContract<A> = A extends { status: 204 }
	? // biome-ignore lint/suspicious/noConfusingVoidType: result of a method without a result
		void
	: A extends { page: true }
		? RowOf<A>[]
		: A extends { returns: infer R }
			? Value<R>
			: never;
type RowOf<A> = A extends { returns: { props: { rows: { items: infer R } } } } ? Value<R> : never;
/** Events of a stream, which are events of its service, by type. */
type EventOf<S extends ServiceName> = Contracts[S] extends { events: infer E }
	? {
			[T in keyof E & string]: {
				readonly id: string;
				readonly type: T;
				readonly data: Infer<E[T]> & { readonly time: string };
			};
		}[keyof E & string]
	: never;

/** Options that only some actions support. */
type OptionsOf<A> = RequestOptions &
	(A extends { idempotent: true }
		? {
				/** By default a random one. The same key and parameters return the first response. */
				readonly idempotencyKey?: string;
			}
		: unknown) &
	(A extends { async: "on request" }
		? {
				/** Responds with 202 and the current state, without waiting for the result. */
				readonly respondAsync?: boolean;
			}
		: unknown) &
	(A extends { etag: true | "if-match"; status?: unknown }
		? {
				/** ETag of the version that may be changed: PRECONDITION_FAILED if there is a newer one. */
				readonly ifMatch?: string;
			}
		: unknown);

type Args<P, O> =
	Record<never, never> extends P ? [params?: P, options?: O] : [params: P, options?: O];
/** Method of an action. */
type Method<A, S extends ServiceName> = A extends { stream: object }
	? (...args: Args<ParamsOfContract<A>, StreamOptions>) => EventStream<EventOf<S>>
	: A extends { upload: { key: infer K extends string } }
		? (file: UploadFile, options: UploadOptions) => Upload<K>
		: A extends { download: object }
			? (...args: Args<Omit<ParamsOfContract<A>, "cursor">, RequestOptions>) => Result<Download>
			: A extends { page: true }
				? (...args: Args<ParamsOfContract<A>, RequestOptions>) => Page<RowOf<A>>
				: (...args: Args<ParamsOfContract<A>, OptionsOf<A>>) => Result<ResultOfContract<A>>;
/** A mapping of the actions themselves keeps their comments. */
type Methods<S extends ServiceName> = {
	readonly [K in keyof ActionsOf<S> as Extract<K, Published<ActionsOf<S>>>]: Method<
		ActionsOf<S>[K],
		S
	>;
};
/** All actions with a route, by service. */
export type Services = { readonly [S in ServiceName]: Methods<S> };
