import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";

/** Random bytes for many IDs: requesting them costs more than the rest of an ID. */
const pool = Buffer.alloc(16 * 256);
let used = pool.length;
let msecs = 0;
let seq = 0;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Whether a text is a UUID of any version in lower case, as Postgres formats it. */
export const isUuid = (text: string): boolean => UUID.test(text);

/** Creates an ID, a UUID of version 7 (RFC 9562). The IDs of one process increase. */
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
		// Half the range, so that it is not exhausted within a millisecond.
		seq = random.readUInt32BE() >>> 1;
	} else seq++;
	return v7({ random, msecs, seq });
}

/**
 * Smallest UUID of version 7 at a time (RFC 9562, 5.7), for ranges of IDs. The first 48 bits are
 * the Unix time in milliseconds. Times before 1970 give the smallest ID of 1970.
 */
export function firstIdAt(time: Date): string {
	const hex = Math.max(0, time.getTime()).toString(16).padStart(12, "0");
	return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
