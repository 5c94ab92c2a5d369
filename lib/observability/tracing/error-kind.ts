const IDENTIFIER = /^[\w.:-]{1,64}$/;

/** The type, code or name of an error. Never its message, which can contain personal data. */
export function errorKind(error: unknown): string {
	const { type, code, name } = (error ?? {}) as { type?: unknown; code?: unknown; name?: unknown };
	return (
		[type, code, name].find(
			(value): value is string => typeof value === "string" && IDENTIFIER.test(value),
		) ?? "Error"
	);
}
