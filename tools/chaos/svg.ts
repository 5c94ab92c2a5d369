/** A rectangle. `title` is its tooltip. */
export const box = (
	x: number,
	y: number,
	width: number,
	height: number,
	color: string,
	title: string,
) =>
	`<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="${color}"><title>${escaped(title)}</title></rect>`;
export const text = (x: number, y: number, content: string, anchor: string) =>
	`<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped(content)}</text>`;
/** Escapes a text for HTML content and attributes. */
export const escaped = (content: string) =>
	content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
