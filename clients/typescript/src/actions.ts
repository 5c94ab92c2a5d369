import type { CommonError, Contracts } from "./contracts.ts";

export type ServiceName = keyof Contracts & string;
export type ActionsOf<S extends ServiceName> = Contracts[S]["actions"];
/** Names of the actions with a route. Webhooks are called by payment providers only. */
export type Published<A> = {
	[K in keyof A]: A[K] extends { rest: string }
		? A[K] extends { rawBody: true }
			? never
			: K
		: never;
}[keyof A] &
	string;
export type ContractOf<A extends ActionName> = A extends `${infer S extends ServiceName}.${infer N}`
	? N extends keyof ActionsOf<S>
		? ActionsOf<S>[N]
		: never
	: never;

/** Names of all actions: "orders.create". */
export type ActionName = {
	[S in ServiceName]: `${S}.${Published<ActionsOf<S>>}`;
}[ServiceName];

type CodesOf<C> = C extends { errors: infer E } ? keyof E & string : never;
/** Codes of all problems. UNKNOWN: a proxy responded without a problem document. */
export type ProblemCode =
	| CommonError
	| "UNKNOWN"
	| { [S in ServiceName]: CodesOf<Contracts[S]> }[ServiceName];
/** Codes of the problems of an action: those that it declares, and those of every request. */
export type CodeOf<A extends ActionName> =
	| CommonError
	| "UNKNOWN"
	| (ContractOf<A> extends { throws: readonly (infer C extends string)[] } ? C : never);
