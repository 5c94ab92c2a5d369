import type { Call } from "../../lib/contracts/contract.ts";
import type { Customer } from "../support/builders.ts";
import type { Databases } from "../support/databases.ts";
import type { Http } from "../support/http.ts";

/** A whole shop, whatever it runs on: all services in this process, or pairs of nodes in processes of their own. */
export interface AnyShop {
	readonly call: Call;
	/** Each request goes to the next gateway, and every answer is held to the OpenAPI document. */
	readonly http: Http;
	/** Those that are open now. */
	readonly gateways: readonly Gateway[];
	/** What access tokens are signed with. */
	readonly secret: string;
	readonly databases: Databases;
	/** The latest message of a kind, as it reaches whom it is for. */
	letter(customer: Pick<Customer, "id" | "email">, template: string): Promise<string>;
	/** Everything that was logged, where settings were given for that. */
	log(): string;
	/** Does something while a service runs nowhere. */
	without(service: string, act: () => Promise<void>): Promise<void>;
	/** Tells the first gateway to end, and waits until it has. In one process that is the end of the shop. */
	endGateway(): Promise<void>;
	stop(): Promise<void>;
}
export interface Gateway {
	readonly url: string;
	readonly http: Http;
}
/** Opens a shop; one of a flow's own where it gives settings. */
export type Open = (env?: Record<string, string>) => Promise<AnyShop>;
/** How long it may take on a machine that is busy with other tests. */
export const START_MS = 120_000;
/** Tests that hold for every shape of the shop. */
export type Flow = (open: Open) => void;

/** Sends each request to the next gateway. */
export function inTurn(gateways: () => readonly Gateway[]): Http {
	let turn = 0;
	return (...request) => {
		const open = gateways();
		return open[turn++ % open.length]!.http(...request);
	};
}

/** What each gateway answers to whoever asks for their own account with this token. */
export const statuses = (
	{ gateways }: Pick<AnyShop, "gateways">,
	token: string,
): Promise<number[]> =>
	Promise.all(
		gateways.map(async ({ http }) => (await http("GET /api/users/me", { token })).status),
	);
