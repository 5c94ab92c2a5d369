/**
 * Spreadsheets execute a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return
 * (https://owasp.org/www-community/attacks/CSV_Injection). Such text is preceded by an apostrophe.
 * Text with apostrophes before such a character gets one more, so that every text is restored.
 */
const EXECUTABLE = /^'*[=+\-@\t\r]/;
const ESCAPED = /^'+[=+\-@\t\r]/;
/** A number is not executed, and has to remain a number. */
const NUMBER = /^-?\d+(\.\d+)?$/;

/** Cell with a text that no spreadsheet executes. */
export const escapeFormula = (text: string): string =>
	EXECUTABLE.test(text) && !NUMBER.test(text) ? `'${text}` : text;

/** Text of a cell, the inverse of {@link escapeFormula}. */
export const unescapeFormula = (text: string): string =>
	ESCAPED.test(text) ? text.slice(1) : text;
