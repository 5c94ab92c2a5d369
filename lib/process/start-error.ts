/**
 * Failure of the start that the operator can fix. The message is one line: the problem and the
 * action to take.
 */
export class StartError extends Error {
	override readonly name = "StartError";
}
