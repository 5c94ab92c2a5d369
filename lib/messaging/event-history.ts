import { invalidField } from "../contracts/errors.ts";
import { type Infer, list, object, shape } from "../contracts/schema.ts";
import { type Queryable, sql } from "../persistence/database.ts";

/** A fact as its service's outbox still holds it. */
export const recordedEvent = shape({
	/** Grows with the order in which the service wrote its facts; compare as text. */
	sequence: { type: "string" },
	type: { type: "string" },
	time: { type: "time" },
	data: { type: "any" },
	traceparent: { type: "string", nullable: true },
});
export type RecordedEvent = Infer<typeof recordedEvent>;

/** For other services: what was told of something, oldest first; only what its events' retention has left. */
export const history = {
	params: { subject: { type: "uuid" } },
	returns: list(object(recordedEvent)),
	retry: true,
} as const;

const FACTS = sql(
	"outbox_history",
	`select lpad(seq::text, 19, '0') as sequence, type, time, data, traceparent from outbox
	where subject = $1 and seq > $2 order by seq limit 500`,
);
/** The largest sequence that the outbox's bigint column holds; text of 19 digits can exceed it. */
const MAX_SEQUENCE = 2n ** 63n - 1n;
/** @throws VALIDATION_ERROR for digits that are not a sequence */
export function assertSequence(field: string, digits: string): void {
	if (BigInt(digits) > MAX_SEQUENCE)
		throw invalidField(
			field,
			"NUMBER_MAX",
			`The '${field}' field must be less than or equal to ${MAX_SEQUENCE}.`,
		);
}
/** @param after the sequence of the last fact that is known already */
export const readEventHistory = (
	db: Queryable,
	subject: string,
	after = "0",
): Promise<RecordedEvent[]> => db.query<RecordedEvent>(FACTS, [subject, after]);
