import type { Section } from "../../section.ts";
import { EditMethod, NewMethod } from "./method-form.tsx";
import { MethodList } from "./method-list.tsx";

export const shipping: Section = {
	title: "Shipping methods",
	pages: {
		"/shipping": MethodList,
		"/shipping/new": NewMethod,
		"/shipping/:code": EditMethod,
	},
};
