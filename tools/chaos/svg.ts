import { escapeHtml } from "../../lib/text/html.ts";

/** A rectangle. `title` is its tooltip. */
export const box = (
	x: number,
	y: number,
	width: number,
	height: number,
	color: string,
	title: string,
) =>
	`<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${color}"` +
	` width="${width.toFixed(1)}" height="${height.toFixed(1)}">` +
	`<title>${escapeHtml(title)}</title></rect>`;
export const text = (x: number, y: number, content: string, anchor: string) =>
	`<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escapeHtml(content)}</text>`;
