/**
 * Parameters of a path by a pattern such as "/orders/:id"; undefined if it does not match, also
 * with malformed percent-encoding.
 */
export function match(pattern: string, path: string): Record<string, string> | undefined {
	const [expected, given] = [pattern.split("/"), path.split("/")];
	if (expected.length !== given.length) return undefined;
	const params: Record<string, string> = {};
	for (const [i, part] of expected.entries()) {
		const value = decode(given[i]!);
		if (part.startsWith(":") && value) params[part.slice(1)] = value;
		else if (part !== given[i]) return undefined;
	}
	return params;
}

function decode(segment: string): string | undefined {
	try {
		return decodeURIComponent(segment);
	} catch {
		return undefined;
	}
}
