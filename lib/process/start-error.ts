/** The process cannot start for a reason its operator can mend. The message is one line: what is wrong and what to do about it. */
export class StartError extends Error {
	override readonly name = "StartError";
}
