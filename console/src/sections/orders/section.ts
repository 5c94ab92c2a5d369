import type { Section } from "../../section.ts";
import { OrderList } from "./order-list.tsx";

export const orders: Section = {
	title: "Orders",
	pages: { "/orders": OrderList },
};
