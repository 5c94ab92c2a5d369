import { isProblem, ProblemError } from "../../clients/typescript/src/index.ts";

/** Trimmed text of a field; "" if the form does not have it. */
export const textOf = (values: FormData, name: string): string =>
	String(values.get(name) ?? "").trim();

/** Number of a field; undefined if it is blank. */
export function numberOf(values: FormData, name: string): number | undefined {
	const text = textOf(values, name);
	return text === "" ? undefined : Number(text);
}

/** Lines of a text area that are not blank. */
export const linesOf = (values: FormData, name: string): string[] =>
	String(values.get(name) ?? "")
		.split("\n")
		.map((line) => line.trim())
		.filter((line) => line !== "");

/** Rows of fields by position: those of "images" are named `images[0].url`. Values are trimmed. */
export function rowsOf(values: FormData, name: string): Record<string, string>[] {
	const rows: Record<string, string>[] = [];
	for (const field of new Set(values.keys())) {
		if (!field.startsWith(`${name}[`)) continue;
		const [, position, member] = /^\[(\d+)\]\.(.+)$/.exec(field.slice(name.length)) ?? [];
		if (position === undefined || member === undefined) continue;
		rows[Number(position)] ??= {};
		rows[Number(position)]![member] = textOf(values, field);
	}
	return rows;
}

/** A local time as a field of the type `datetime-local` has it: 2030-01-31T12:00:00. */
export function localTime(time: string | null): string {
	if (time === null) return "";
	const date = new Date(time);
	return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/**
 * Time of a field of the type `datetime-local` in UTC, null if it is blank.
 * @param before is returned if the field shows it unchanged, because the field has no milliseconds
 */
export function timeOf(values: FormData, name: string, before: string | null = null) {
	const local = textOf(values, name);
	if (local === "") return null;
	const time = new Date(local);
	const unchanged = before !== null && localTime(before) === localTime(time.toISOString());
	return unchanged ? before : time.toISOString();
}

/** JSON with the members of objects in alphabetical order. */
const canonical = (value: unknown): string | undefined =>
	JSON.stringify(value, (_, member) =>
		typeof member === "object" && member !== null && !Array.isArray(member)
			? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
			: member,
	);

/** Fields of `input` that differ from those of `before`, compared as JSON. */
export function changedFields<T extends object>(before: object, input: T): Partial<T> {
	const old = before as Readonly<Record<string, unknown>>;
	return Object.fromEntries(
		Object.entries(input).filter(([field, value]) => canonical(value) !== canonical(old[field])),
	) as Partial<T>;
}

/** Handler of a rejected request that throws its error with the names of the form's inputs. */
export const atInputs =
	(nameOf: (field: string) => string) =>
	(error: unknown): never => {
		throw withFields(error, nameOf);
	};

/** A problem whose fields have the names that the form gives them. Other errors are unchanged. */
export function withFields(error: unknown, nameOf: (field: string) => string): unknown {
	if (!isProblem(error)) return error;
	const { status, code, detail, request_id, data, headers, attempts } = error;
	const errors = error.errors.map((one) => ({ ...one, field: nameOf(one.field) }));
	return new ProblemError(status, { ...data, code, detail, request_id, errors }, headers, attempts);
}
