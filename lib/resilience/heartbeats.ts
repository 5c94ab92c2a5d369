import { Discoverers } from "moleculer";

const BEAT_MS = 1000;
const CHECK_MS = 500;
const CLEAN_MS = 60_000;

/**
 * Sends heartbeats at full seconds of the clock and checks for dead nodes every 500 ms.
 *
 * Moleculer sends heartbeats every 0.5 to 1.5 seconds, by chance, so a node wakes for each
 * heartbeat of each other node. At full seconds, those of all nodes arrive together. Moleculer
 * checks once per `heartbeatTimeout`, so it may call a dead node for up to twice that time.
 *
 * Skips one check after the local event loop stalled, because this node may have missed heartbeats.
 */
export class Heartbeats extends Discoverers.Local {
	#timer: NodeJS.Timeout | undefined;
	#checkedAt = 0;
	#cleanedAt = 0;
	/** Number of the second of the last heartbeat. */
	#second = 0;

	override startHeartbeatTimers(): void {
		this.stopHeartbeatTimers();
		this.#checkedAt = this.#cleanedAt = performance.now();
		this.#schedule();
	}

	override stopHeartbeatTimers(): void {
		clearTimeout(this.#timer);
	}

	/** Schedules the next multiple of CHECK_MS. A timer may fire slightly early. */
	#schedule(): void {
		const now = Date.now();
		const next = (Math.round(now / CHECK_MS) + 1) * CHECK_MS;
		this.#timer = setTimeout(() => this.#tick(), next - now).unref();
	}

	#tick(): void {
		this.#schedule();
		const second = Math.floor((Date.now() + CHECK_MS / 2) / BEAT_MS);
		if (second !== this.#second) void this.beat();
		this.#second = second;
		const now = performance.now();
		const stalled = now - this.#checkedAt > 2 * CHECK_MS;
		this.#checkedAt = now;
		if (!stalled) this.checkRemoteNodes();
		if (now - this.#cleanedAt < CLEAN_MS) return;
		this.#cleanedAt = now;
		this.checkOfflineNodes();
	}
}
