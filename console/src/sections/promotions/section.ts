import type { Section } from "../../section.ts";
import { EditPromotion, NewPromotion } from "./promotion-form.tsx";
import { PromotionList } from "./promotion-list.tsx";

export const promotions: Section = {
	title: "Promotions",
	pages: {
		"/promotions": PromotionList,
		"/promotions/new": NewPromotion,
		"/promotions/:id": EditPromotion,
	},
};
