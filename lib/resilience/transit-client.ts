import type { ServiceBroker } from "moleculer";

/** Part of the NATS client that we use. `info` is undefined while there is no connection. */
export interface NatsClient {
	readonly info?: { readonly max_payload: number } | undefined;
	/** Resolves after a round trip to the server. */
	flush(): Promise<void>;
	close(): Promise<void>;
}
/** A transporter of Moleculer. Only the one for NATS has a client with `info`. */
export interface Transporter {
	readonly client?: Pick<NatsClient, "info"> | null | undefined;
}

/**
 * The transporter of a broker, or undefined without one.
 *
 * `transit.tx` and its `client` are private members of Moleculer 0.15; Moleculer has no public
 * access to the connection. Read them only here: the test fails when an upgrade changes them.
 */
export const transporterOf = (broker: object): Transporter | undefined =>
	(broker as ServiceBroker as { transit?: { tx?: Transporter } }).transit?.tx;

/** The NATS client of the connection between nodes, or undefined without NATS. */
export function natsClientOf(broker: object): NatsClient | undefined {
	const client = transporterOf(broker)?.client as Partial<NatsClient> | null | undefined;
	return client?.flush ? (client as NatsClient) : undefined;
}
