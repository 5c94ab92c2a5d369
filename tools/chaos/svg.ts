/** A rectangle; `title` is what a mouse over it shows. */
export const box = (
	x: number,
	y: number,
	width: number,
	height: number,
	colour: string,
	title: string,
) =>
	`<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="${colour}"><title>${escaped(title)}</title></rect>`;
export const text = (x: number, y: number, content: string, anchor: string) =>
	`<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped(content)}</text>`;
/** As it may stand in HTML and in its attributes. */
export const escaped = (content: string) =>
	content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
