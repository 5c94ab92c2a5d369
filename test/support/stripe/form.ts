/** Decoded form: a value is a string or nested. Arrays are objects with the keys "0", "1" … */
export interface Form {
	readonly [name: string]: string | Form;
}

/** Limit of nested brackets; deeper ones belong to no request that the stand-in supports. */
const MAX_DEPTH = 8;

interface Mutable {
	[name: string]: string | Mutable;
}

/**
 * Decodes `application/x-www-form-urlencoded` text with nested names, such as `a[b][0]=c` and
 * `a[]=c`. The objects have no prototype, so that every name is safe.
 *
 * @throws Error for a malformed or too deeply nested name
 */
export function decodeForm(text: string): Form {
	const form: Mutable = Object.create(null);
	for (const [name, value] of new URLSearchParams(text)) {
		const path = pathOf(name);
		let target = form;
		for (const [index, part] of path.entries()) {
			const key = part === "" ? String(Object.keys(target).length) : part;
			if (index === path.length - 1) {
				target[key] = value;
				break;
			}
			const known = target[key];
			const next: Mutable = typeof known === "object" ? known : Object.create(null);
			target[key] = next;
			target = next;
		}
	}
	return form;
}

function pathOf(name: string): string[] {
	const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name);
	if (!match) throw new Error(`Invalid parameter name: ${name}`);
	const nested = [...match[2]!.matchAll(/\[([^[\]]*)\]/g)].map(([, key]) => key!);
	if (nested.length > MAX_DEPTH) throw new Error(`Parameter is nested too deeply: ${name}`);
	return [match[1]!, ...nested];
}

/** JSON text that is equal for forms with equal values, in any order of the parameters. */
export function canonicalForm(form: Form): string {
	return JSON.stringify(form, (_, value) =>
		typeof value === "object"
			? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
			: value,
	);
}
