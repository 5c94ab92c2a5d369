import type { ServiceBroker } from "moleculer";

/*
 * The only file that uses the transporter of Moleculer 0.15 and its NATS client: both are private
 * members, and Moleculer has no public access to the connection. transit-client.test.ts fails if an
 * upgrade changes them.
 */

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

/** The transporter of a broker, or undefined without one. */
export const transporterOf = (broker: object): Transporter | undefined =>
	(broker as ServiceBroker as { transit?: { tx?: Transporter } }).transit?.tx;

/** Maximum message size of the connected server in bytes; no limit without a server. */
export const maxPayload = (transporter: Transporter | undefined): number =>
	transporter?.client?.info?.max_payload ?? Number.MAX_SAFE_INTEGER;

/** The NATS client of the connection between nodes, or undefined without NATS. */
export function natsClientOf(broker: object): NatsClient | undefined {
	const client = transporterOf(broker)?.client as Partial<NatsClient> | null | undefined;
	return client?.flush ? (client as NatsClient) : undefined;
}
