import assert from "node:assert";
import { setTimeout as after } from "node:timers/promises";
import { type Member, until } from "./members.ts";
import type { FaultKind, Profile } from "./profiles.ts";
import { type Random, random } from "./random.ts";

export interface Fault {
	/** Seconds since the beginning. */
	readonly at: number;
	readonly target: string;
	readonly kind: FaultKind;
	/** Seconds until it is put right. */
	readonly lasts: number;
}
/** A fault as it happened; a node takes its time to be ready again. */
export interface Happened extends Fault {
	readonly until: number;
}

/** How long a fault waits for its moment. */
const MOMENT_SECONDS = 8;

/** How long something is away. Postgres and NATS stop everybody, so they come back sooner. */
const LASTS = {
	node: { kill: [0.2, 4], pause: [0.5, 8], restart: [0, 1] },
	nats: { kill: [0.2, 3], pause: [0.5, 3], restart: [0, 1] },
	redis: { kill: [0.2, 4], pause: [0.5, 4], restart: [0, 1] },
	postgres: { kill: [0, 0], pause: [0.3, 2.5], restart: [0, 1] },
} as const satisfies Record<Member["kind"], Record<FaultKind, readonly [number, number]>>;

type Victim = Pick<Member, "name" | "kind">;
/** All faults of a run, the same for the same seed, the same profile and the same members. */
export function plan(
	seed: number,
	seconds: number,
	members: readonly Victim[],
	profile: Profile,
): Fault[] {
	const dice = random(seed);
	const faults: Fault[] = [];
	for (let at = dice.between(0.5, 1.5); at < seconds - 1; at += dice.between(...profile.every))
		faults.push(one(dice, at, members, profile));
	return faults;
}
function one(
	dice: Random,
	at: number,
	members: readonly Victim[],
	{ targets, kinds, lasts }: Profile,
): Fault {
	const wanted = dice.weighted(targets);
	const part = wanted === "orders" || wanted === "goods" ? "node" : wanted;
	const all = members.filter(({ kind }) => kind === part);
	const some = part === wanted ? all : all.filter(({ name }) => name.startsWith(wanted));
	const { name } = dice.pick(some.length > 0 ? some : all);
	const kind = dice.weighted(kinds);
	const [low, high] = lasts ?? LASTS[part][kind];
	return { at: round(at), target: name, kind, lasts: round(dice.between(low, high)) };
}
const round = (n: number) => Math.round(n * 100) / 100;

/**
 * Lets the faults happen at their times; fulfils when everything is put right again. What is already away is left alone.
 * @param isMoment what a fault waits for when its time has come, though not for ever
 */
export async function inflict(
	faults: readonly Fault[],
	members: readonly Member[],
	begun: number,
	isMoment?: (target: string) => Promise<boolean>,
): Promise<Happened[]> {
	const away = new Set<string>();
	const happened: Happened[] = [];
	const seconds = () => (Date.now() - begun) / 1000;
	await Promise.all(
		faults.map(async (fault) => {
			await after(Math.max(0, fault.at - seconds()) * 1000);
			if (away.has(fault.target)) return;
			away.add(fault.target);
			if (isMoment)
				await until(async () => assert(await isMoment(fault.target)), MOMENT_SECONDS).catch(
					() => undefined,
				);
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
