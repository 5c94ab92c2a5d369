import assert from "node:assert";
import { setTimeout as after } from "node:timers/promises";
import { type Member, until } from "./members.ts";
import type { FaultKind, Profile } from "./profiles.ts";
import { type Random, random } from "./random.ts";

interface Fault {
	/** Seconds since the start of the run. */
	readonly at: number;
	readonly target: string;
	readonly kind: FaultKind;
	/** Seconds until the target is repaired. */
	readonly lasts: number;
}
/** A fault that was injected, with the time at which its target was ready again. */
export interface InjectedFault extends Fault {
	readonly until: number;
}

/** Maximum time that a fault waits for its moment. */
const MOMENT_SECONDS = 8;

/**
 * Seconds until repair, minimum and maximum. Shorter for Postgres and NATS, which stop all nodes.
 */
const LASTS = {
	node: { kill: [0.2, 4], pause: [0.5, 8], restart: [0, 1] },
	nats: { kill: [0.2, 3], pause: [0.5, 3], restart: [0, 1] },
	redis: { kill: [0.2, 4], pause: [0.5, 4], restart: [0, 1] },
	postgres: { kill: [0, 0], pause: [0.3, 2.5], restart: [0, 1] },
} as const satisfies Record<Member["kind"], Record<FaultKind, readonly [number, number]>>;

type Target = Pick<Member, "name" | "kind">;
/** The faults of a run. Deterministic for a seed, a profile and a list of members. */
export function plan(
	seed: number,
	seconds: number,
	members: readonly Target[],
	profile: Profile,
): Fault[] {
	const rng = random(seed);
	const faults: Fault[] = [];
	for (let at = rng.between(0.5, 1.5); at < seconds - 1; at += rng.between(...profile.every))
		faults.push(one(rng, at, members, profile));
	return faults;
}
function one(
	rng: Random,
	at: number,
	members: readonly Target[],
	{ targets, kinds, lasts }: Profile,
): Fault {
	const target = rng.weighted(targets);
	const part = target === "orders" || target === "goods" || target === "money" ? "node" : target;
	const all = members.filter(({ kind }) => kind === part);
	const some = part === target ? all : all.filter(({ name }) => name.startsWith(target));
	const { name } = rng.pick(some.length > 0 ? some : all);
	const kind = rng.weighted(kinds);
	const [low, high] = lasts ?? LASTS[part][kind];
	return { at: round(at), target: name, kind, lasts: round(rng.between(low, high)) };
}
const round = (n: number) => Math.round(n * 100) / 100;

/**
 * Injects the faults at their times, and resolves after all targets are repaired. Skips a fault
 * whose target is already affected by another one.
 * @param isMoment condition that a due fault waits for, for at most MOMENT_SECONDS
 */
export async function injectFaults(
	faults: readonly Fault[],
	members: readonly Member[],
	startedAt: number,
	isMoment?: (target: string) => Promise<boolean>,
): Promise<InjectedFault[]> {
	const affected = new Set<string>();
	const injected: InjectedFault[] = [];
	const seconds = () => (Date.now() - startedAt) / 1000;
	await Promise.all(
		faults.map(async (fault) => {
			await after(Math.max(0, fault.at - seconds()) * 1000);
			if (affected.has(fault.target)) return;
			affected.add(fault.target);
			if (isMoment)
				await until(async () => assert(await isMoment(fault.target)), MOMENT_SECONDS).catch(
					() => undefined,
				);
			const at = seconds();
			await inject(members.find(({ name }) => name === fault.target)!, fault);
			injected.push({ ...fault, at, until: seconds() });
			affected.delete(fault.target);
		}),
	);
	return injected.sort((a, b) => a.at - b.at);
}

async function inject(member: Member, { kind, lasts }: Fault): Promise<void> {
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
