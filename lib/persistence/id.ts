import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";

/** Randomness for many ids at once: to ask for it costs more than all the rest. */
const pool = Buffer.alloc(16 * 256);
let used = pool.length;
let msecs = 0;
let seq = 0;

/** A new id, a UUID of version 7 (RFC 9562): of those that one process makes, each is greater than the one before. */
export function newId(): string {
	if (used === pool.length) {
		randomFillSync(pool);
		used = 0;
	}
	const random = pool.subarray(used, used + 16);
	used += 16;
	const now = Date.now();
	if (now > msecs) {
		msecs = now;
		// Half of what there is, so that it does not run out within a millisecond.
		seq = random.readUInt32BE() >>> 1;
	} else seq++;
	return v7({ random, msecs, seq });
}
