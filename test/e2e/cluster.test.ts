import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import type { ParsedMail } from "mailparser";
import { eventually } from "../support/eventually.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { kindOf, type Pairs, startPairs } from "../support/pairs.ts";
import { describeWith } from "../support/servers.ts";
import { auditProgram } from "./audit-program.ts";
import { flows } from "./flows.ts";
import { type AnyShop, inTurn } from "./shape.ts";

describeWith(["nats-server", "redis-server"], "a cluster with two nodes of each kind", () => {
	let mails: MailServer;
	let pairs: Pairs;
	/** Shared by the flows, because starting it takes longer than most tests. */
	let shop: AnyShop;
	beforeAll(async () => {
		mails = await startMailServer();
		pairs = await startPairs({ env: { SMTP_URL: mails.url } });
		shop = shopOf(pairs, mails);
	});
	afterAll(async () => {
		await pairs?.cluster.stop();
		await mails?.stop();
	});

	const startSeparate = async (env: Record<string, string>): Promise<AnyShop> => {
		// Only its log and responses are checked, for which one node of each kind suffices.
		const pairs = await startPairs({ env, each: 1 });
		return { ...shopOf(pairs, mails), stop: () => pairs.cluster.stop() };
	};
	const open = (env?: Record<string, string>) => (env ? startSeparate(env) : Promise.resolve(shop));

	// First, because it requires a shop without orders.
	describe("npm run audit", () => auditProgram(() => pairs.cluster));
	for (const [name, flow] of Object.entries(flows)) describe(name, () => flow(open, "cluster"));
});

function shopOf({ cluster, gateways, nodes, takeOut, add }: Pairs, { mails }: MailServer): AnyShop {
	return {
		call: cluster.call,
		http: inTurn(gateways),
		get gateways() {
			return gateways();
		},
		secret: cluster.env.JWT_SECRET!,
		databases: cluster.databases,
		letter: ({ email }, template) =>
			eventually(() => {
				const isTo = ({ to }: ParsedMail) =>
					[to].flat().some((list) => list?.value.some(({ address }) => address === email));
				const found = mails.findLast(
					(mail) => mail.messageId?.includes(`.${template}@`) && isTo(mail),
				);
				expect(found).toBeDefined();
				return found!.text!;
			}),
		log: cluster.log,
		async without(service, act) {
			const kind = kindOf(service);
			const stopped = Array.from(nodes(kind), () => kind).map(takeOut);
			await Promise.all(stopped.map(({ process }) => process.term()));
			try {
				await act();
			} finally {
				await add(kind);
			}
		},
		async endGateway() {
			expect(await takeOut("edge").process.term()).toBe(0);
		},
		stop: async () => undefined,
	};
}
