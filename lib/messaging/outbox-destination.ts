import { type Database, sql } from "../persistence/database.ts";

/** A message that a destination has acknowledged. */
export interface Acknowledged {
	readonly sequence: number;
	/** Id of the message. */
	readonly message: string;
}
/** A durable destination of events that may lose data, such as a JetStream stream. */
export interface Destination {
	/**
	 * Compares the destination with the last acknowledged message.
	 * @returns its identity, which changes if it is lost and created again, and whether it still
	 * contains `last`
	 */
	inspect(
		last: Acknowledged | undefined,
	): Promise<{ readonly identity: string; readonly intact: boolean }>;
}

/** Columns of a checkpoint about its destination. */
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
	`update outbox_readers set seen = default, upto = null, seq = 0, target = $3, acked_seq = null,
		acked_message = null
	where name = $1 and owner = $2 returning ${CHECKPOINT_COLUMNS}`,
);

/**
 * Returns the checkpoint of a relay, reset to the beginning of the outbox if its destination has
 * lost events because it was created again, restored from a backup, or truncated. Consumers ignore
 * events that they have processed.
 * @returns undefined if another node has taken over
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

/**
 * Whether an acknowledgment contradicts an earlier one: sequences increase unless the destination
 * was reset.
 */
export const contradictsEarlierAck = (
	before: DestinationState,
	ack: Acknowledged | undefined,
): boolean => ack !== undefined && before.acked_seq !== null && ack.sequence <= before.acked_seq;
