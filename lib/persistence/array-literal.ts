/** What stands in an array literal as it is. */
const PLAIN = /^[\w.:+-]+$/;

/**
 * An array as Postgres reads it; undefined for one that holds anything but text, numbers, booleans and null, which the driver knows better how to
 * write. The driver's own way looks at every character of every element twice, and a set-based statement has thousands of them.
 */
export function arrayLiteral(values: readonly unknown[]): string | undefined {
	let text = "{";
	for (let i = 0; i < values.length; i++) {
		const value = values[i];
		if (i > 0) text += ",";
		if (value === null || value === undefined) text += "NULL";
		else if (typeof value === "string")
			text += PLAIN.test(value) && !isNull(value) ? value : quoted(value);
		else if (typeof value === "number" || typeof value === "boolean") text += value;
		else return undefined;
	}
	return `${text}}`;
}

const isNull = (text: string): boolean => text.length === 4 && text.toUpperCase() === "NULL";
const quoted = (text: string): string =>
	`"${/["\\]/.test(text) ? text.replace(/["\\]/g, "\\$&") : text}"`;
