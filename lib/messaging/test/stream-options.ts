import { v7 as uuid } from "uuid";
import type { StreamOptions } from "../jetstream.ts";

/** Options of a small stream of its own. @param servers URLs of the NATS servers */
export const streamOptions = (servers: string): StreamOptions => ({
	servers,
	namespace: `t${uuid().slice(-8)}`,
	replicas: 1,
	retentionHours: 1,
	maxBytes: 2 ** 26,
	ackWait: 1000,
	name: "test",
	onReducedSize: () => undefined,
	onError: () => undefined,
});
