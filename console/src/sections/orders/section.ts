import type { Section } from "../../section.ts";
import { OrderList } from "./order-list.tsx";
import { OrderPage } from "./order-page.tsx";

export const orders: Section = {
	title: "Orders",
	pages: { "/orders": OrderList, "/orders/:id": OrderPage },
};
