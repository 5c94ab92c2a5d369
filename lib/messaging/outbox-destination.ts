import { type Database, sql } from "../persistence/database.ts";

/** A message that a destination has acknowledged. */
export interface Acknowledged {
	readonly sequence: number;
	/** Id of the message. */
	readonly message: string;
}
/** A durable destination of events, a JetStream stream for instance, which may lose data. */
export interface Destination {
	/**
	 * Compares the destination with what a relay remembers of it.
	 * @returns its identity, which changes when it was lost and created again, and whether it still holds `last`, the message that it
	 * acknowledged last
	 */
	inspect(
		last: Acknowledged | undefined,
	): Promise<{ readonly identity: string; readonly intact: boolean }>;
}

/** What a relay remembers of its destination. */
export interface DestinationState {
	readonly target: string | null;
	readonly acked_seq: number | null;
	readonly acked_message: string | null;
}
const acknowledged = ({ acked_seq, acked_message }: DestinationState): Acknowledged | undefined =>
	acked_seq !== null && acked_message !== null
		? { sequence: acked_seq, message: acked_message }
		: undefined;

/** The columns of a checkpoint, for `returning`. */
export const CHECKPOINT_COLUMNS = "seen::text, upto::text, seq, target, acked_seq, acked_message";
const RESTART = sql(
	"outbox_restart",
	`update outbox_readers set seen = default, upto = null, seq = 0, target = $3, acked_seq = null, acked_message = null
	where name = $1 and owner = $2 returning ${CHECKPOINT_COLUMNS}`,
);

/**
 * The checkpoint of a relay, reset to the beginning of the outbox if its destination has lost events: because it was created again, restored
 * from a backup, or truncated. Consumers ignore what they had already.
 * @returns undefined if another node has taken over meanwhile
 */
export async function verifyCheckpoint<C extends DestinationState>(
	db: Database,
	destination: Destination,
	{ name, owner }: { readonly name: string; readonly owner: string },
	checkpoint: C,
): Promise<C | undefined> {
	const { identity, intact } = await destination.inspect(acknowledged(checkpoint));
	if (identity === checkpoint.target && intact) return checkpoint;
	const [restarted] = await db.query<C & { [column: string]: unknown }>(RESTART, [
		name,
		owner,
		identity,
	]);
	return restarted;
}

/** Whether an acknowledgment contradicts an earlier one: sequences only grow, unless the destination was set back in between. */
export const contradictsEarlierAck = (
	before: DestinationState,
	ack: Acknowledged | undefined,
): boolean => ack !== undefined && before.acked_seq !== null && ack.sequence <= before.acked_seq;
