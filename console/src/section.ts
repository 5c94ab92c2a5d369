import type { ComponentType } from "preact";

/** A page. Its properties are the parameters of its path. */
// biome-ignore lint/suspicious/noExplicitAny: each page declares the parameters of its path
type PageComponent = ComponentType<any>;

/** A section of the console: a folder of `sections`. */
export interface Section {
	readonly title: string;
	/** Pages by path, such as "/orders/:id". The navigation leads to the first one. */
	readonly pages: Readonly<Record<string, PageComponent>>;
}
