import { invalidField } from "../contracts/errors.ts";
import { type Infer, list, object, shape } from "../contracts/schema.ts";
import { type Queryable, sql } from "../persistence/database.ts";

/** An event in the outbox of its service. */
const recordedEvent = shape({
	/** Increases in the order of writing; compare as text. */
	sequence: { type: "string" },
	type: { type: "string" },
	time: { type: "time" },
	data: { type: "any" },
	traceparent: { type: "string", nullable: true },
});
export type RecordedEvent = Infer<typeof recordedEvent>;

/** Action contract: the retained events of a subject, oldest first. */
export const history = {
	params: { subject: { type: "uuid" } },
	returns: list(object(recordedEvent)),
	retry: true,
} as const;

const READ_HISTORY = sql(
	"outbox_history",
	`select lpad(seq::text, 19, '0') as sequence, type, time, data, traceparent from outbox
	where subject = $1 and seq > $2 order by seq limit 500`,
);
/** The maximum of the outbox's bigint column; text of 19 digits can exceed it. */
const MAX_SEQUENCE = 2n ** 63n - 1n;
/** @throws VALIDATION_ERROR if the digits exceed a sequence */
export function assertSequence(field: string, digits: string): void {
	if (BigInt(digits) > MAX_SEQUENCE)
		throw invalidField(
			field,
			"NUMBER_MAX",
			`The '${field}' field must be less than or equal to ${MAX_SEQUENCE}.`,
		);
}
/** @param after sequence of the last event that the caller has */
export const readEventHistory = (
	db: Queryable,
	subject: string,
	after = "0",
): Promise<RecordedEvent[]> => db.query<RecordedEvent>(READ_HISTORY, [subject, after]);
