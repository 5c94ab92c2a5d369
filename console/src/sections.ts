import type { Section } from "./section.ts";
import { catalogue } from "./sections/catalogue/section.ts";
import { cluster } from "./sections/cluster/section.ts";
import { customers } from "./sections/customers/section.ts";
import { failures } from "./sections/failures/section.ts";
import { messages } from "./sections/messages/section.ts";
import { orders } from "./sections/orders/section.ts";
import { overview } from "./sections/overview/section.ts";
import { preview } from "./sections/preview/section.ts";
import { promotions } from "./sections/promotions/section.ts";
import { shipping } from "./sections/shipping/section.ts";
import { tax } from "./sections/tax/section.ts";

/** All sections, in the order of the navigation. */
export const sections: readonly Section[] = [
	overview,
	cluster,
	orders,
	catalogue,
	promotions,
	tax,
	shipping,
	preview,
	customers,
	messages,
	failures,
];
