import { setTimeout as after } from "node:timers/promises";
import type { Member } from "./members.ts";
import { type Random, random } from "./random.ts";

export interface Fault {
	/** Seconds since the beginning. */
	readonly at: number;
	readonly target: string;
	readonly kind: "kill" | "pause" | "restart";
	/** Seconds until it is put right. */
	readonly lasts: number;
}
/** A fault as it happened; a node takes its time to be ready again. */
export interface Happened extends Fault {
	readonly until: number;
}

/** How long something is away. Postgres and NATS stop everybody, so they come back sooner. */
const LASTS = {
	node: { kill: [0.2, 4], pause: [0.5, 8], restart: [0, 1] },
	nats: { kill: [0.2, 3], pause: [0.5, 3], restart: [0, 1] },
	redis: { kill: [0.2, 4], pause: [0.5, 4], restart: [0, 1] },
	postgres: { kill: [0, 0], pause: [0.3, 2.5], restart: [0, 1] },
} as const satisfies Record<Member["kind"], Record<Fault["kind"], readonly [number, number]>>;
/** The nodes that run orders have the most to lose. */
const TARGETS = { orders: 40, node: 28, nats: 10, redis: 8, postgres: 14 } as const;

/** All faults of a run, the same for the same seed and the same members. */
export function plan(seed: number, seconds: number, members: readonly Pick<Member, "name" | "kind">[]): Fault[] {
	const dice = random(seed);
	const faults: Fault[] = [];
	for (let at = dice.between(0.5, 1.5); at < seconds - 1; at += dice.between(0.6, 2.6)) faults.push(one(dice, at, members));
	return faults;
}
function one(dice: Random, at: number, members: readonly Pick<Member, "name" | "kind">[]): Fault {
	const wanted = dice.weighted(TARGETS);
	const part = wanted === "orders" ? "node" : wanted;
	const all = members.filter(({ kind }) => kind === part);
	const some = wanted === "orders" ? all.filter(({ name }) => name.startsWith("orders")) : all;
	const { name } = dice.pick(some.length > 0 ? some : all);
	const kind = dice.weighted({ kill: 50, pause: 35, restart: 15 });
	const [low, high] = LASTS[part][kind];
	return { at: round(at), target: name, kind, lasts: round(dice.between(low, high)) };
}
const round = (n: number) => Math.round(n * 100) / 100;

/** Lets the faults happen at their times; fulfils when everything is put right again. What is already away is left alone. */
export async function inflict(faults: readonly Fault[], members: readonly Member[], begun: number): Promise<Happened[]> {
	const away = new Set<string>();
	const happened: Happened[] = [];
	const seconds = () => (Date.now() - begun) / 1000;
	await Promise.all(
		faults.map(async (fault) => {
			await after(Math.max(0, fault.at - seconds()) * 1000);
			if (away.has(fault.target)) return;
			away.add(fault.target);
			const at = seconds();
			await suffer(members.find(({ name }) => name === fault.target)!, fault);
			happened.push({ ...fault, at, until: seconds() });
			away.delete(fault.target);
		}),
	);
	return happened.sort((a, b) => a.at - b.at);
}

async function suffer(member: Member, { kind, lasts }: Fault): Promise<void> {
	if (kind === "pause") {
		member.pause();
		await after(lasts * 1000);
		member.resume();
		return;
	}
	await (kind === "kill" ? member.kill() : member.term());
	await after(lasts * 1000);
	await member.start();
}
