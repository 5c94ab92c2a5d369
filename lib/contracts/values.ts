/**
 * Types of the values that match a rule of a contract. Without imports: the published client
 * contains this file (docs/adr/0037).
 */
interface Leaf {
	string: string;
	email: string;
	uuid: string;
	number: number;
	boolean: boolean;
	money: number;
	time: string;
	any: unknown;
}
type Bare<R> = R extends { type: "enum"; values: readonly (infer V)[] }
	? V
	: R extends { type: "array"; items: infer I }
		? Value<I>[]
		: R extends { type: "object"; props: infer P }
			? Infer<P>
			: R extends { type: "record"; value: infer V }
				? { [name: string]: Value<V> }
				: R extends { type: "multi"; rules: readonly (infer A)[] }
					? Value<A>
					: R extends { type: infer T extends keyof Leaf }
						? Leaf[T]
						: never;
/** Type of the values of a rule. */
export type Value<R> = R extends { nullable: true } ? Bare<R> | null : Bare<R>;

type Flat<T> = { [K in keyof T]: T[K] } & {};
type OptionalIn<S> = {
	[K in keyof S]: S[K] extends { optional: true } | { default: unknown } ? K : never;
}[keyof S];
type OptionalOut<S> = { [K in keyof S]: S[K] extends { optional: true } ? K : never }[keyof S];

type Passed<R> = R extends { nullable: true } ? BarePassed<R> | null : BarePassed<R>;
type BarePassed<R> = R extends { type: "array"; items: infer I }
	? Passed<I>[]
	: R extends { type: "object"; props: infer P }
		? Input<P>
		: Bare<R>;
/** Type of the data that a caller passes: fields with a default are optional at every depth. */
export type Input<S> = Flat<
	{ -readonly [K in Exclude<keyof S, OptionalIn<S>>]: Passed<S[K]> } & {
		-readonly [K in OptionalIn<S>]?: Passed<S[K]>;
	}
>;
/** Type of the data that a handler receives: defaults are set. */
export type Infer<S> = Flat<
	{ -readonly [K in Exclude<keyof S, OptionalOut<S>>]: Value<S[K]> } & {
		-readonly [K in OptionalOut<S>]?: Value<S[K]>;
	}
>;
