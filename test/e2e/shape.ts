import { afterAll, beforeAll } from "@jest/globals";
import type { ProblemError } from "../../clients/typescript/src/index.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { type Customer, makeAdmin } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import type { Databases } from "../support/databases.ts";
import type { Http } from "../support/http.ts";

/** Shop in any mode: all services in this process, or two nodes of each kind in child processes. */
export interface AnyShop {
	readonly call: Call;
	/**
	 * Sends each request to the next gateway and checks the response against the OpenAPI document.
	 */
	readonly http: Http;
	/** Running gateways. */
	readonly gateways: readonly Gateway[];
	/** Key that signs access tokens. */
	readonly secret: string;
	readonly databases: Databases;
	/** Text of the latest message to a customer by template, as delivered. */
	letter(customer: Pick<Customer, "id" | "email">, template: string): Promise<string>;
	/** Log output, if the shop was opened with settings. */
	log(): string;
	/** Runs `act` while no node runs the service. */
	without(service: string, act: () => Promise<void>): Promise<void>;
	/** Stops the first of two gateways and waits. In one process this stops the shop. */
	endGateway(): Promise<void>;
	stop(): Promise<void>;
}
export interface Gateway {
	readonly url: string;
	readonly http: Http;
}
/** Opens the shared shop, or a separate one if settings are given. */
type Open = (env?: Record<string, string>) => Promise<AnyShop>;
type Mode = "embedded" | "cluster";
/** Tests that run in every mode, unless they name the mode. */
export type Flow = (open: Open, mode: Mode) => void;

/**
 * Registers hooks that open a shop with an administrator and stop it.
 * @param started receives the shop before the tests
 */
export function useShop<S extends Pick<AnyShop, "call" | "http" | "stop">>(
	open: () => Promise<S>,
	started: (shop: S, admin: Customer) => unknown,
): void {
	let shop: S | undefined;
	beforeAll(async () => {
		shop = await open();
		await started(shop, await makeAdmin(shop));
	});
	afterAll(() => shop?.stop());
}

/** Sends each request to the next gateway. */
export function inTurn(gateways: () => readonly Gateway[]): Http {
	let turn = 0;
	return (...request) => {
		const running = gateways();
		return running[turn++ % running.length]!.http(...request);
	};
}

/** Status of GET /api/users/me with the token, by gateway. */
export const statuses = (
	{ gateways }: Pick<AnyShop, "gateways">,
	token: string,
): Promise<number[]> =>
	Promise.all(
		gateways.map((gateway) =>
			clientOf(gateway, { token })
				.users.me()
				.withResponse()
				.then(
					({ status }) => status,
					({ status }: ProblemError) => status,
				),
		),
	);
