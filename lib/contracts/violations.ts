/** Error of one field, from Moleculer's validator. */
export interface Violation {
	readonly type: string;
	readonly field?: string;
	readonly message: string;
	readonly actual?: unknown;
	readonly action?: string;
}
/** Error of one field, as a client receives it. */
export interface FieldError {
	readonly field: string;
	readonly message: string;
	readonly code: string;
}

/** Converts fastest-validator's `stringMin` to STRING_MIN, and lists unknown fields one by one. */
export function toFieldErrors({ type, field = "", message, actual }: Violation): FieldError[] {
	const code = type.replace(/[A-Z]/g, "_$&").toUpperCase();
	if (type !== "objectStrict") return [{ field, message, code }];
	return String(actual)
		.split(", ")
		.map((name) => ({
			field: field ? `${field}.${name}` : name,
			message: `Unknown field '${name}'`,
			code,
		}));
}
