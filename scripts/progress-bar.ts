/** A bar of `width` characters of which a part is filled. @param part from 0 to 1 */
export function progressBar(part: number, width = 40): string {
	const full = Math.round(Math.min(1, part) * width);
	return "█".repeat(full) + "░".repeat(width - full);
}
