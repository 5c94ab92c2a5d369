import type { Section } from "./section.ts";
import { orders } from "./sections/orders/section.ts";

/** All sections, in the order of the navigation. */
export const sections: readonly Section[] = [orders];
