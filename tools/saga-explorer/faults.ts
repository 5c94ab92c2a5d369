/** Faults of one message to the store or to a step, with their weights among generated messages. */
export const faultKinds = {
	fine: 12,
	/** The message never arrives. */
	lost: 1,
	/** The message arrives after its sender has timed out. */
	late: 2,
	/** The message takes effect, and its response is lost. */
	unacknowledged: 1,
	/** The message takes effect, and once more at any later time. */
	twice: 2,
	/** The whole message fails, without (`broken`) or with an effect (`garbled`). */
	broken: 1,
	garbled: 1,
	/** One element returns `pending`, with or without an effect. */
	pending: 1,
	/** One element is refused: once, possibly not when the message arrives again, or permanently. */
	refused: 2,
	declined: 1,
} as const;

export interface Fault {
	readonly kind: keyof typeof faultKinds;
	/** Selects one of the message's elements. */
	readonly pick: number;
}
export const fine: Fault = { kind: "fine", pick: 0 };
